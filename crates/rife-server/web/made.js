// @ts-check
// Made frames of a job: a filmstrip, and a slider that shows each frame.

import { url } from './api.js';
import { el, say } from './dom.js';
import { playButton } from './players.js';
import { rateOf } from './position.js';
import { Sharp, WIDTH } from './sharp.js';
import { t } from './text.js';

/** Number of pictures of the filmstrip. */
const PICTURES = 9;

/** Returns the paths of the frames of a job's results. @param {any} job @param {any[]} pictures @param {number} count @returns {((width: number) => string)[]} */
function paths(job, pictures, count) {
  const frame = (/** @type {any} */ file, /** @type {number} */ number) => (/** @type {number} */ width) => `/jobs/${job.id}/files/${encodeURIComponent(file.name)}/frames/${number}?width=${width}`;
  if (pictures.length > 1) return pictures.map((file) => frame(file, 1));
  return Array.from({ length: count }, (_, index) => frame(job.files[0], index + 1));
}

/** Returns the first new frame of each transition of a job, from 1. @param {any} job @returns {number[]} */
function seams({ kind, inputs, options, plan, summary }) {
  const passes = 2 ** (options?.passes ?? 2);
  if (kind === 'chain') return (summary?.starts_s ?? []).slice(1).map((/** @type {number} */ start) => Math.max(1, Math.round(start * rateOf(plan?.output_rate)) - (plan?.transition_frames ?? passes - 1) + 1));
  if (options?.timestep !== undefined) return [];
  return Array.from({ length: inputs.length - (options?.loop ? 0 : 1) }, (_, index) => index * passes + 2);
}

/** Opens the frames in a dialog. @param {any} job @param {any[]} pictures its pictures, or at most one of them for a clip @param {number} count */
export function open(job, pictures, count) {
  const all = paths(job, pictures, count);
  const rate = rateOf(job.plan?.output_rate);
  const shown = new Sharp(el('img', { className: 'made' }));
  const slider = el('input', { type: 'range', min: 1, max: all.length, step: 1, value: 1, 'aria-label': t('frames') });
  const clock = el('output', { className: 'hint clock' });
  const strip = el('div', { className: 'framestrip', 'aria-hidden': 'true' });
  const found = seams(job);
  const places = el('select', { className: 'places', 'aria-label': t('seam_go'), hidden: found.length === 0 }, el('option', { value: '' }, t('seam_go')), ...found.map((frame, index) =>
    el('option', { value: String(frame) }, `${job.options?.loop && index + 1 === found.length ? t('seam_loop') : t('seam_number', { n: index + 1 })} · ${t('frame', { n: frame })}`)));
  const [file] = job.files;
  let movie = file.media_type.startsWith('video/') && rate > 0
    ? el('video', { className: 'made', src: url(`/jobs/${job.id}/files/${encodeURIComponent(file.name)}`), muted: true, loop: true, playsInline: true, preload: 'auto', hidden: true, 'aria-label': job.label }) : null;
  const now = { playing: false };
  const play = playButton('plain', () => (now.playing ? show() : run()));
  const pause = () => {
    now.playing = false;
    play.show(false);
    movie?.pause();
    shown.box.hidden = false;
    if (movie) movie.hidden = true;
  };
  /** Plays all frames in a loop: the clip itself, or frame by frame where there is none that the browser plays. */
  const run = async () => {
    now.playing = true;
    play.show(true);
    if (movie) {
      movie.currentTime = (Number(slider.value) - 0.5) / rate;
      if (await movie.play().then(() => true, () => false)) {
        [shown.box.hidden, movie.hidden] = [true, false];
        return follow();
      }
      if (!now.playing) return;
      movie = null;
    }
    while (now.playing && dialog.isConnected) {
      slider.value = String((Number(slider.value) % all.length) + 1);
      tell();
      await Promise.all([shown.load(url(all[Number(slider.value) - 1](WIDTH)), clock.textContent), new Promise((resolve) => setTimeout(resolve, 1000 / (rate || 25)))]);
    }
  };
  const follow = () => {
    if (!now.playing || !movie || !dialog.isConnected) return;
    slider.value = String(Math.floor(movie.currentTime * rate + 1e-3) + 1);
    tell();
    requestAnimationFrame(follow);
  };
  const dialog = el('dialog', { className: 'frames', 'aria-label': t('frames') }, el('h2', {}, `${t('frames')}: ${job.label}`), shown.box, movie, slider, strip,
    el('div', { className: 'row' }, play.button, places, clock, el('button', { className: 'plain', type: 'button', onclick: () => dialog.close() }, t('close'))));
  const tell = () => {
    const at = Number(slider.value);
    const time = rate > 0 ? t('seconds', { n: ((at - 1) / rate).toFixed(2) }) : '';
    clock.textContent = [t('frame_of', { n: at, count: all.length }), time].filter(Boolean).join(' · ');
    slider.setAttribute('aria-valuetext', clock.textContent);
  };
  const show = () => {
    const at = Number(slider.value);
    pause();
    tell();
    shown.show((width) => url(all[at - 1](width)), t('frame', { n: at }));
  };
  slider.addEventListener('input', show);
  const go = (/** @type {number} */ frame) => {
    slider.value = String(frame);
    show();
  };
  places.addEventListener('change', () => {
    if (places.value) go(Number(places.value));
    places.value = '';
  });
  const few = Math.min(PICTURES, all.length);
  for (let index = 0; index < few; index += 1) {
    const at = Math.round((index * (all.length - 1)) / Math.max(1, few - 1));
    strip.append(el('img', { alt: '', src: url(all[at](WIDTH)), onclick: () => go(at + 1) }));
  }
  document.body.append(dialog);
  dialog.addEventListener('close', () => {
    pause();
    dialog.remove();
  });
  dialog.showModal();
  show();
  slider.focus();
  say(clock.textContent);
}
