// @ts-check
// Synchronised playback of source and result for compare.js: as videos, or, if the browser cannot decode one of them, as single
// frames that the server renders.

import { call, url } from './api.js';
import { el } from './dom.js';
import { t } from './text.js';

/** Maximum drift in seconds before the source is seeked to the result's time. */
const MAX_DRIFT = 0.06;
/** Widths in which frames are requested: only a few, so that the server's cache is hit. */
const WIDTHS = [640, 960, 1280, 1920];

/**
 * @typedef {{before: HTMLElement, after: HTMLElement, length: number, time: number, paused: boolean, shape: string,
 *   note: string, seek: (time: number) => void, toggle: () => void, close: () => void}} Player
 * `time` and `length` in seconds of the result.
 * @typedef {{job: any, file: any, before: string, after: string, moved: () => void}} Pair paths in the API
 */

/** Reports whether the browser decodes the video stream: some play only the audio, without an error. @param {HTMLVideoElement} movie @returns {Promise<boolean>} */
export function decodes(movie) {
  return new Promise((resolve) => {
    movie.addEventListener('loadedmetadata', () => {
      if (movie.videoWidth === 0) resolve(false);
      // Some browsers load no frame before a user gesture.
      else setTimeout(() => resolve(true), 3000);
    });
    movie.addEventListener('loadeddata', () => resolve(movie.videoWidth > 0));
    movie.addEventListener('error', () => resolve(false));
  });
}

/** Returns the source's playback rate relative to the result's: below 1 for slow motion. @param {any} job @param {number} before duration of the source in seconds @param {number} after duration of the result */
function sourceSpeed(job, before, after) {
  if (!job.options?.slow_motion) return 1;
  const { input_duration_s: source = before, duration_s: made = after } = job.plan ?? {};
  return source && made ? source / made : 1;
}

/** Creates a player for two clips. @param {Pair} pair @returns {Promise<Player>} */
export async function player(pair) {
  const movie = (/** @type {string} */ path, /** @type {string} */ className) =>
    el('video', { src: url(path), className, muted: true, loop: true, playsInline: true, preload: 'auto' });
  const [before, after] = [movie(pair.before, 'before'), movie(pair.after, 'after')];
  const [first, second] = await Promise.all([decodes(before), decodes(after)]);
  if (first && second) return videoPlayer(pair, before, after);
  for (const one of [before, after]) one.removeAttribute('src');
  return framePlayer(pair, t('stills', { what: [!first && t('before'), !second && t('after')].filter(Boolean).join(', ') }));
}

/** Creates a player of two video elements. @param {Pair} pair @param {HTMLVideoElement} before @param {HTMLVideoElement} after @returns {Player} */
function videoPlayer(pair, before, after) {
  const stretch = sourceSpeed(pair.job, before.duration, after.duration);
  let open = true;
  const step = () => {
    const wanted = after.currentTime * stretch;
    if (Math.abs(before.currentTime - wanted) > (after.paused ? 0.001 : MAX_DRIFT)) before.currentTime = wanted;
    pair.moved();
    if (open) requestAnimationFrame(step);
  };
  after.addEventListener('play', () => { before.playbackRate = stretch; before.play().catch(() => {}); });
  after.addEventListener('pause', () => before.pause());
  requestAnimationFrame(step);
  return {
    before, after, note: '', length: after.duration, shape: `${after.videoWidth} / ${after.videoHeight}`,
    get time() { return after.currentTime; },
    get paused() { return after.paused; },
    seek: (time) => { after.currentTime = time; },
    toggle: () => { if (after.paused) after.play().catch(() => {}); else after.pause(); },
    close: () => {
      open = false;
      after.pause();
    },
  };
}

/** Creates a player of single frames that the server renders. @param {Pair} pair @param {string} note @returns {Promise<Player>} */
async function framePlayer(pair, note) {
  const [source, made] = await Promise.all([call('GET', `${pair.before}/probe`), call('GET', `${pair.after}/probe`)]);
  const stretch = sourceSpeed(pair.job, source.duration_s, made.duration_s);
  const interval = made.fps ? 1 / made.fps : 0.04;
  const wide = made.width > 0 ? Math.min(made.width, innerWidth * devicePixelRatio) : 1280;
  const width = WIDTHS.find((one) => one >= wide) ?? WIDTHS[WIDTHS.length - 1];
  const [before, after] = [el('img', { className: 'before', alt: t('before') }), el('img', { className: 'after', alt: t('after') })];
  const now = { wanted: 0, shown: -1, busy: false, playing: false, open: true };
  const length = made.duration_s ?? 0;

  /** Loads the frames of both clips at a time, and shows them together. @param {number} time in seconds of the result */
  const draw = async (time) => {
    const fetched = [[pair.before, time * stretch], [pair.after, time]].map(async ([path, at]) => {
      const picture = new Image();
      picture.src = url(`${path}/frames/at?time_s=${Number(at).toFixed(4)}&width=${width}`);
      await picture.decode();
      return picture.src;
    });
    [before.src, after.src] = await Promise.all(fetched);
  };
  const run = async () => {
    if (now.busy) return;
    now.busy = true;
    while (now.open && (now.wanted !== now.shown || now.playing)) {
      const began = performance.now();
      if (now.playing && now.wanted === now.shown) now.wanted = now.wanted + interval < length - interval / 2 ? now.wanted + interval : 0;
      const time = now.wanted;
      await draw(time).catch(() => { now.playing = false; });
      now.shown = time;
      pair.moved();
      const left = 1000 * interval - (performance.now() - began);
      if (now.playing && left > 0) await new Promise((resolve) => setTimeout(resolve, left));
    }
    now.busy = false;
  };
  run();
  return {
    before, after, note, length, shape: `${made.width} / ${made.height}`,
    get time() { return now.wanted; },
    get paused() { return !now.playing; },
    seek: (time) => {
      now.wanted = time;
      run();
    },
    toggle: () => {
      now.playing = !now.playing;
      pair.moved();
      run();
    },
    close: () => { now.open = now.playing = false; },
  };
}
