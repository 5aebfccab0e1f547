// @ts-check
// Made frames of a job: a filmstrip, and a slider that shows each frame.

import { url } from './api.js';
import { el, say } from './dom.js';
import { rateOf } from './position.js';
import { t } from './text.js';

/** Number of pictures of the filmstrip, and their width in pixels. */
const [PICTURES, WIDTH] = [9, 160];
/** Milliseconds without another frame before a frame is fetched in the screen's resolution. */
const SHARP_MS = 150;

/** Returns the paths of the frames of a job's results: the pictures themselves, or the frames of the only clip. @param {any} job @returns {((width: number) => string)[]} */
function paths(job) {
  const path = (/** @type {any} */ file) => `/jobs/${job.id}/files/${encodeURIComponent(file.name)}`;
  const pictures = job.files.filter((/** @type {any} */ { media_type: type }) => type.startsWith('image/') && type !== 'image/gif');
  const frame = (/** @type {any} */ file, /** @type {number} */ number) => (/** @type {number} */ width) => `${path(file)}/frames/${number}?width=${width}`;
  if (pictures.length > 1) return pictures.map((/** @type {any} */ file) => frame(file, 1));
  return Array.from({ length: job.plan?.output_frames ?? 0 }, (_, index) => frame(job.files[0], index + 1));
}

/** Creates the button that opens the frames of a job; null for one with a single frame. @param {any} job */
export function framesButton(job) {
  const all = paths(job);
  return all.length > 1 ? el('button', { className: 'plain', type: 'button', 'data-act': 'frames', onclick: () => open(job, all) }, t('frames')) : null;
}

/** Opens the frames in a dialog. @param {any} job @param {((width: number) => string)[]} all */
function open(job, all) {
  const rate = rateOf(job.plan?.output_rate);
  const shown = new Sharp(el('img', { className: 'made' }));
  const slider = el('input', { type: 'range', min: 1, max: all.length, step: 1, value: 1, 'aria-label': t('frames') });
  const clock = el('output', { className: 'hint clock' });
  const strip = el('div', { className: 'framestrip', 'aria-hidden': 'true' });
  const dialog = el('dialog', { className: 'frames', 'aria-label': t('frames') }, el('h2', {}, `${t('frames')}: ${job.label}`), shown.box, slider, strip,
    el('div', { className: 'row' }, clock, el('button', { className: 'plain', type: 'button', onclick: () => dialog.close() }, t('close'))));
  const show = () => {
    const at = Number(slider.value);
    const time = rate > 0 ? t('seconds', { n: ((at - 1) / rate).toFixed(2) }) : '';
    shown.show((width) => url(all[at - 1](width)), t('frame', { n: at }));
    clock.textContent = [t('frame_of', { n: at, count: all.length }), time].filter(Boolean).join(' · ');
    slider.setAttribute('aria-valuetext', clock.textContent);
  };
  slider.addEventListener('input', show);
  const count = Math.min(PICTURES, all.length);
  for (let index = 0; index < count; index += 1) {
    const at = Math.round((index * (all.length - 1)) / Math.max(1, count - 1));
    strip.append(el('img', { alt: '', src: url(all[at](WIDTH)), onclick: () => { slider.value = String(at + 1); show(); } }));
  }
  document.body.append(dialog);
  dialog.addEventListener('close', () => dialog.remove());
  dialog.showModal();
  show();
  slider.focus();
  say(clock.textContent);
}

/** Frame that is shown at once in a coarse version, then as sharp as the screen; its box is busy until it is there. */
export class Sharp {
  /** @param {HTMLImageElement} picture */
  constructor(picture) {
    this.picture = picture;
    this.box = el('div', { className: 'loading' }, picture);
    this.timer = 0;
    this.wanted = '';
  }

  /** Width of the picture in pixels of the screen, in steps, so that the server renders few sizes. */
  get width() {
    return Math.min(3840, Math.max(320, Math.ceil((this.box.clientWidth * devicePixelRatio) / WIDTH) * WIDTH));
  }

  /** Shows a frame. @param {(width: number) => string} source address for a width in pixels @param {string} alt @param {() => void} [done] called when the sharp frame is there */
  show(source, alt, done) {
    clearTimeout(this.timer);
    this.load(source(WIDTH), alt);
    this.timer = setTimeout(async () => await this.load(source(this.width), alt) && done?.(), SHARP_MS);
  }

  /** Loads and shows a picture; returns false if another one was wanted meanwhile. @param {string} source @param {string} alt */
  async load(source, alt) {
    this.wanted = source;
    this.box.setAttribute('aria-busy', 'true');
    const next = el('img', { src: source });
    await next.decode().catch(() => {});
    if (this.wanted !== source) return false;
    this.box.removeAttribute('aria-busy');
    Object.assign(this.picture, { src: source, alt });
    return true;
  }
}
