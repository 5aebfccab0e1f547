// @ts-check
// Viewer of the chosen clip: player, filmstrip, and handles that set the form's start and end of the part to convert.

import { call, url } from './api.js';
import { el } from './dom.js';
import { resourcePath } from './inputs.js';
import { Marks } from './marks.js';
import { decodes, playButton } from './players.js';
import { seconds, timecode } from './position.js';
import { t } from './text.js';

/** Number of pictures of the filmstrip, and their width in pixels. */
const [PICTURES, WIDTH] = [10, 176];
/** Width of the frames that the server renders where the browser cannot decode the clip. */
const SCREEN_WIDTH = 960;
/** Seconds of a preview. */
export const PREVIEW_S = 3;

/** @typedef {'start' | 'end'} End */

/** Viewer of one clip. */
export class Part {
  /** @param {import('./form.js').Form} form with the fields `start` and `end` */
  constructor(form) {
    this.form = form;
    /** @type {import('./inputs.js').Input | null} */
    this.item = null;
    this.length = this.fps = 0;
    this.time = 0;
    /** @type {HTMLVideoElement | null} */
    this.movie = null;
    this.screen = el('div', { className: 'screen' });
    this.pictures = el('div', { className: 'pictures', 'aria-hidden': 'true' });
    this.chosen = el('div', { className: 'chosen' });
    this.head = el('div', { className: 'head', 'aria-hidden': 'true' });
    this.handles = { start: this.handle('start'), end: this.handle('end') };
    this.marks = new Marks(form, this);
    this.strip = el('div', { className: 'strip' }, this.pictures, this.chosen, this.marks.element, this.head, this.handles.start, this.handles.end);
    this.strip.addEventListener('pointerdown', (/** @type {PointerEvent} */ event) => this.drag(event));
    this.position = el('input', { type: 'range', min: 0, max: 1, step: 'any', value: 0, 'aria-label': t('position'), oninput: () => this.seek(Number(this.position.value) * this.length) });
    this.play = playButton('plain', () => this.toggle());
    this.clock = el('span', { className: 'hint clock grow' });
    const step = (/** @type {string} */ key, /** @type {string} */ sign, /** @type {number} */ by) =>
      el('button', { className: 'plain icon', type: 'button', 'aria-label': t(key), title: t(key), onclick: () => this.seek((this.frame + by + 0.5) / this.fps) }, sign);
    const set = (/** @type {End} */ end) => el('button', { className: 'plain', type: 'button', onclick: () => this.set(end, this.time) }, t(end === 'start' ? 'part_start_here' : 'part_end_here'));
    this.whole = el('button', { className: 'plain', type: 'button', onclick: () => this.form.set({ start: '', end: '' }) }, t('part_whole'));
    this.about = el('p', { className: 'hint grow', role: 'status' });
    /** Row of the buttons on the shown frame and clip. */
    this.line = el('div', { className: 'row' }, this.play.button, step('frame_back', '◂', -1), step('frame_on', '▸', 1), this.clock, set('start'), set('end'));
    this.element = el('section', { className: 'card part', 'aria-label': t('part'), hidden: true },
      this.screen, this.line,
      this.strip, this.position, this.marks.line, el('div', { className: 'row' }, this.about, this.whole));
  }

  /** Number of the shown frame, from 0. */
  get frame() {
    return Math.max(0, Math.floor(this.time * this.fps + 1e-3));
  }

  /** Start and end of the part in seconds, as far as the form's values are valid. */
  get ends() {
    const { start, end } = this.form.values;
    const read = (/** @type {string} */ text, /** @type {number} */ other) => {
      const time = text ? seconds(text, this.fps) : other;
      return Number.isFinite(time) ? Math.min(Math.max(0, time), this.length) : other;
    };
    return { start: read(start, 0), end: read(end, this.length) };
  }

  /** Options of a preview at the shown time. */
  get preview() {
    const latest = Math.max(0, this.length - Math.min(PREVIEW_S, this.length));
    const start = Math.min(this.frame / this.fps, latest);
    return { start: Number(start.toFixed(3)), end: Number((start + PREVIEW_S).toFixed(3)) };
  }

  /** Shows a clip; null hides the viewer. @param {import('./inputs.js').Input | null} item */
  async show(item) {
    if (item === this.item) return this.showEnds();
    this.item = item;
    this.movie?.pause();
    this.movie = null;
    this.element.hidden = true;
    this.marks.load(null);
    if (!item) return;
    const probe = await call('GET', `${resourcePath(item.ref)}/probe`).catch(() => null);
    if (this.item !== item || !probe?.duration_s) return;
    [this.length, this.fps, this.time] = [probe.duration_s, probe.fps || 25, 0];
    this.element.hidden = false;
    this.screen.style.setProperty('--shape', `${probe.width} / ${probe.height}`);
    this.showEnds();
    this.marks.load(resourcePath(item.ref));
    const count = Math.min(PICTURES, Math.max(1, Math.round(this.length * this.fps)));
    const times = Array.from({ length: count }, (_, index) => ((index + 0.5) * this.length) / count);
    this.pictures.replaceChildren();
    const movie = el('video', { src: url(item.ref.upload ? `/uploads/${item.ref.upload}/content` : resourcePath(item.ref)), playsInline: true, preload: 'auto', 'aria-label': item.name });
    this.screen.replaceChildren(movie);
    const good = await decodes(movie);
    if (this.item !== item) return;
    if (!good) {
      movie.removeAttribute('src');
      this.askForPictures(item, times);
      this.screen.replaceChildren(el('img', { alt: item.name }), el('p', { className: 'hint' }, t('part_stills')));
    } else {
      this.movie = movie;
      this.drawPictures(item, times, movie.src);
      for (const type of ['timeupdate', 'seeked', 'play', 'pause']) movie.addEventListener(type, () => this.follow());
    }
    this.play.button.hidden = !good;
    this.seek(this.ends.start);
  }

  /** Draws the filmstrip from a second video element. @param {import('./inputs.js').Input} item @param {number[]} times in seconds @param {string} src */
  async drawPictures(item, times, src) {
    const movie = el('video', { src, muted: true, preload: 'auto' });
    for (const time of times) {
      movie.currentTime = time;
      await new Promise((resolve) => { for (const type of ['seeked', 'error']) movie.addEventListener(type, resolve, { once: true }); });
      if (this.item !== item || !movie.videoWidth) return;
      const picture = el('canvas', { width: WIDTH, height: Math.round((WIDTH * movie.videoHeight) / movie.videoWidth) });
      picture.getContext('2d').drawImage(movie, 0, 0, picture.width, picture.height);
      this.pictures.append(picture);
    }
    movie.removeAttribute('src');
  }

  /** Loads the filmstrip from the server, one picture after the other. @param {import('./inputs.js').Input} item @param {number[]} times in seconds */
  async askForPictures(item, times) {
    for (const time of times) {
      const picture = el('img', { alt: '', src: url(`${resourcePath(item.ref)}/frames/at?time_s=${time.toFixed(3)}&width=${WIDTH}`) });
      await picture.decode().catch(() => {});
      if (this.item !== item) return;
      this.pictures.append(picture);
    }
  }

  /** Takes over the time of the video. */
  follow() {
    if (!this.movie) return;
    this.time = this.movie.currentTime;
    const { start, end } = this.ends;
    if (!this.movie.paused && this.time >= end && end > start) this.movie.currentTime = start;
    this.showTime();
    if (!this.movie.paused) requestAnimationFrame(() => this.follow());
  }

  /** Shows the frame at a time. @param {number} time in seconds */
  seek(time) {
    this.time = Math.min(Math.max(0, time), Math.max(0, this.length - 0.5 / this.fps));
    if (this.movie) this.movie.currentTime = this.time;
    const still = this.screen.querySelector('img');
    if (still && this.item) still.src = url(`${resourcePath(this.item.ref)}/frames/at?time_s=${this.time.toFixed(4)}&width=${SCREEN_WIDTH}`);
    this.showTime();
  }

  /** Plays the part, or stops. */
  toggle() {
    if (!this.movie) return;
    const { start, end } = this.ends;
    if (!this.movie.paused) return this.movie.pause();
    if (this.time < start || this.time >= end - 1 / this.fps) this.movie.currentTime = start;
    this.movie.play().catch(() => {});
  }

  /** Creates the handle of an end: a slider, which is also dragged. @param {End} end */
  handle(end) {
    const handle = el('div', { className: `handle ${end}`, role: 'slider', tabIndex: 0, 'aria-label': t(`o_${end}`), 'aria-valuemin': 0, 'data-end': end });
    handle.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => {
      const step = event.shiftKey ? 1 : 1 / this.fps;
      const now = this.ends[end];
      /** @type {Record<string, number>} */
      const moves = { ArrowLeft: now - step, ArrowDown: now - step, ArrowRight: now + step, ArrowUp: now + step, Home: 0, End: this.length };
      if (!(event.key in moves)) return;
      event.preventDefault();
      this.set(end, moves[event.key]);
      this.seek(end === 'start' ? this.ends.start : this.ends.end - 0.5 / this.fps);
    });
    return handle;
  }

  /** Drags a handle, or the playhead where there is none. @param {PointerEvent} event */
  drag(event) {
    if (event.button !== 0) return;
    event.preventDefault();
    const target = /** @type {HTMLElement} */ (event.target);
    const end = /** @type {End | undefined} */ (target.dataset.end);
    const box = this.strip.getBoundingClientRect();
    const move = (/** @type {PointerEvent} */ at) => {
      const time = this.length * Math.min(1, Math.max(0, (at.clientX - box.left) / box.width));
      if (end) this.set(end, time);
      this.seek(end === 'end' ? this.ends.end - 0.5 / this.fps : end ? this.ends.start : time);
    };
    if (end) target.focus({ preventScroll: true });
    else move(event);
    this.strip.setPointerCapture(event.pointerId);
    const stop = new AbortController();
    this.strip.addEventListener('pointermove', move, { signal: stop.signal });
    for (const type of ['pointerup', 'pointercancel']) this.strip.addEventListener(type, () => stop.abort(), { signal: stop.signal });
  }

  /** Sets an end to a frame's time; an end at the clip's own is left empty. @param {End} end @param {number} time in seconds */
  set(end, time) {
    const ends = this.ends;
    const frame = 1 / this.fps;
    // At least two frames, since there is nothing to interpolate in one.
    const limited = end === 'start' ? Math.min(time, ends.end - 2 * frame) : Math.max(time, ends.start + 2 * frame);
    const snapped = Math.min(this.length, Math.max(0, Math.round(limited * this.fps) / this.fps));
    const own = end === 'start' ? snapped < frame / 2 : snapped > this.length - frame / 2;
    this.form.set({ [end]: own ? '' : snapped.toFixed(3).replace(/\.?0+$/, '') });
  }

  /** Places handles and shading by the form's values. */
  showEnds() {
    this.marks.sync();
    const { start, end } = this.ends;
    const percent = (/** @type {number} */ time) => `${(100 * time) / (this.length || 1)}%`;
    this.strip.style.setProperty('--start', percent(start));
    this.strip.style.setProperty('--end', percent(end));
    for (const [name, time] of /** @type {[End, number][]} */ ([['start', start], ['end', end]])) {
      const handle = this.handles[name];
      handle.setAttribute('aria-valuemax', this.length.toFixed(3));
      handle.setAttribute('aria-valuenow', time.toFixed(3));
      handle.setAttribute('aria-valuetext', t('seconds', { n: timecode(time) }));
    }
    const { start: from, end: to } = this.form.values;
    this.whole.hidden = !from && !to;
    this.about.textContent = from || to ? t('part_about', { from: timecode(start), to: timecode(end), length: timecode(end - start) }) : t('part_all', { length: timecode(this.length) });
  }

  /** Shows the time and number of the frame. */
  showTime() {
    this.strip.style.setProperty('--head', `${(100 * this.time) / (this.length || 1)}%`);
    if (document.activeElement !== this.position) this.position.value = String(this.time / (this.length || 1));
    this.position.setAttribute('aria-valuetext', t('seconds', { n: timecode(this.time) }));
    this.clock.textContent = t('frame_at', { time: timecode(this.time), n: this.frame + 1, count: Math.max(1, Math.round(this.length * this.fps)) });
    this.marks.showButton();
    this.play.show(Boolean(this.movie && !this.movie.paused));
  }
}
