// @ts-check
// Synchronised playback of two versions of a clip for compare.js: as videos, or, if the browser cannot decode one of them, as
// single frames that the server renders.

import { call, url } from './api.js';
import { el } from './dom.js';
import { t } from './text.js';

/** Maximum drift in seconds before the left version is seeked to the right one's time. */
const MAX_DRIFT = 0.06;
/** Widths in which frames are requested: only a few, so that the server's cache is hit. */
const WIDTHS = [640, 960, 1280, 1920];

/**
 * @typedef {{path: string, start: number, speed: number}} Version path in the API; its second t shows the source's second
 *   `start + speed * t`
 * @typedef {{before: HTMLElement, after: HTMLElement, length: number, time: number, paused: boolean, size: [number, number],
 *   note: string, sounds: boolean, seek: (time: number) => void, toggle: () => void, pace: (rate: number) => void,
 *   loop: (on: boolean) => void, mute: (on: boolean) => void, close: () => void}} Player
 * `time` and `length` in seconds of the right version; `size` in pixels of its frames.
 * @typedef {{left: Version, right: Version, names: [string, string], moved: () => void}} Pair
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

/** Creates a button that plays and pauses; it has the width of the longer word, so that its neighbours keep their places.
 * @param {string} className @param {() => void} onclick
 */
export function playButton(className, onclick) {
  const button = el('button', { className: `playpause ${className}`, type: 'button', onclick }, el('span', {}, t('play')), el('span', {}, t('pause')));
  return { button, show: (/** @type {boolean} */ playing) => { button.classList.toggle('playing', playing); } };
}

/** Returns the left version's time for a time of the right one. @param {Pair} pair @param {number} time */
const leftTime = ({ left, right }, time) => Math.max(0, (right.start + right.speed * time - left.start) / left.speed);

/** Creates a player for two versions. @param {Pair} pair @returns {Promise<Player>} */
export async function player(pair) {
  const movie = (/** @type {string} */ path, /** @type {string} */ className) =>
    el('video', { src: url(path), className, muted: true, loop: true, playsInline: true, preload: 'auto' });
  const [before, after] = [movie(pair.left.path, 'before'), movie(pair.right.path, 'after')];
  const [first, second] = await Promise.all([decodes(before), decodes(after)]);
  if (first && second) return videoPlayer(pair, before, after);
  for (const one of [before, after]) one.removeAttribute('src');
  return framePlayer(pair, t('stills', { what: [!first && pair.names[0], !second && pair.names[1]].filter(Boolean).join(', ') }));
}

/** Creates a player of two video elements. @param {Pair} pair @param {HTMLVideoElement} before @param {HTMLVideoElement} after @returns {Player} */
function videoPlayer(pair, before, after) {
  const ratio = pair.right.speed / pair.left.speed;
  let open = true;
  const step = () => {
    const wanted = leftTime(pair, after.currentTime);
    if (Math.abs(before.currentTime - wanted) > (after.paused ? 0.001 : MAX_DRIFT) && !before.seeking) before.currentTime = wanted;
    pair.moved();
    if (open) requestAnimationFrame(step);
  };
  before.loop = false;
  after.addEventListener('play', () => {
    before.playbackRate = after.playbackRate * ratio;
    before.play().catch(() => {});
  });
  after.addEventListener('pause', () => before.pause());
  requestAnimationFrame(step);
  return {
    before, after, note: '', sounds: true, length: after.duration, size: [after.videoWidth, after.videoHeight],
    get time() { return after.currentTime; },
    get paused() { return after.paused; },
    seek: (time) => { after.currentTime = time; },
    toggle: () => { if (after.paused) after.play().catch(() => {}); else after.pause(); },
    // Browsers refuse very slow rates by an exception.
    pace: (rate) => { [after.playbackRate, before.playbackRate] = [rate, Math.max(0.0625, rate * ratio)]; },
    loop: (on) => { after.loop = on; },
    mute: (on) => { after.muted = on; },
    close: () => {
      open = false;
      after.pause();
    },
  };
}

/** Creates a player of single frames that the server renders. @param {Pair} pair @param {string} note @returns {Promise<Player>} */
async function framePlayer(pair, note) {
  const made = await call('GET', `${pair.right.path}/probe`);
  const interval = made.fps ? 1 / made.fps : 0.04;
  const wide = made.width > 0 ? Math.min(made.width, innerWidth * devicePixelRatio) : 1280;
  const width = WIDTHS.find((one) => one >= wide) ?? WIDTHS[WIDTHS.length - 1];
  const [before, after] = [el('img', { className: 'before', alt: pair.names[0] }), el('img', { className: 'after', alt: pair.names[1] })];
  const now = { wanted: 0, shown: -1, busy: false, playing: false, open: true, rate: 1, loop: true };
  const length = made.duration_s ?? 0;

  /** Loads the frames of both versions at a time, and shows them together. @param {number} time in seconds of the right one */
  const draw = async (time) => {
    const fetched = [[pair.left.path, leftTime(pair, time)], [pair.right.path, time]].map(async ([path, at]) => {
      const picture = new Image();
      picture.src = url(`${path}/frames/at?time_s=${Number(at).toFixed(4)}&width=${width}`);
      await picture.decode();
      return picture.src;
    });
    [before.src, after.src] = await Promise.all(fetched);
  };
  /** Moves on by a frame; stops at the end unless it loops. */
  const advance = () => {
    if (now.wanted + interval < length - interval / 4) now.wanted += interval;
    else if (now.loop) now.wanted = interval / 2;
    else now.playing = false;
  };
  const run = async () => {
    if (now.busy) return;
    now.busy = true;
    while (now.open && (now.wanted !== now.shown || now.playing)) {
      const began = performance.now();
      if (now.playing && now.wanted === now.shown) advance();
      const time = now.wanted;
      await draw(time).catch(() => { now.playing = false; });
      now.shown = time;
      pair.moved();
      const left = (1000 * interval) / now.rate - (performance.now() - began);
      if (now.playing && left > 0) await new Promise((resolve) => setTimeout(resolve, left));
    }
    now.busy = false;
  };
  run();
  return {
    before, after, note, sounds: false, length, size: [made.width, made.height],
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
    pace: (rate) => { now.rate = rate; },
    loop: (on) => { now.loop = on; },
    mute: () => {},
    close: () => { now.open = now.playing = false; },
  };
}
