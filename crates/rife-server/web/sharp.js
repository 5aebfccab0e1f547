// @ts-check
// Frames of a clip on the page, shown as sharp as the screen; and the button that opens all frames of a result.

import { el, notice } from './dom.js';
import { t } from './text.js';

/** Width in pixels of frames that are shown at once. */
export const WIDTH = 160;
/** Milliseconds without another frame before a frame is fetched in the screen's resolution. */
const SHARP_MS = 150;

/** Creates the button that opens the frames of a job, in a dialog that is loaded for that; null for one with a single frame. @param {any} job */
export function framesButton(job) {
  const pictures = job.files.filter((/** @type {any} */ { media_type: type }) => type.startsWith('image/') && type !== 'image/gif');
  const count = pictures.length > 1 ? pictures.length : (job.summary?.frames_out ?? job.plan?.output_frames ?? 0);
  const open = () => import('./made.js').then((module) => module.open(job, pictures, count)).catch((error) => notice(error.message));
  return count > 1 ? el('button', { className: 'plain', type: 'button', 'data-act': 'frames', onclick: open }, t('frames')) : null;
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
