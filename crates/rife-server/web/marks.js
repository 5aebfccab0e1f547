// @ts-check
// Cuts and repeated frames on the filmstrip: found by the server, cuts can be added and removed.

import { el } from './dom.js';
import { url } from './api.js';
import { seconds, timecode } from './position.js';
import { t } from './text.js';

/** Milliseconds that a clip is shown before it is analysed. */
const DELAY_MS = 500;
/** Maximum number of cuts that are shown as buttons. */
const MAX_CUTS = 400;

/** @typedef {{length: number, fps: number, time: number, frame: number, ends: {start: number, end: number}, seek: (time: number) => void}} Clip */

/** Marks of one clip. */
export class Marks {
  /** @param {import('./form.js').Form} form with the field `cut_list` @param {Clip} clip */
  constructor(form, clip) {
    this.form = form;
    this.clip = clip;
    /** Frames with cuts, as found by the server. @type {number[]} */
    this.found = [];
    /** Frames with cuts, as shown. @type {number[]} */
    this.cuts = [];
    /** Whether the server is looking for cuts, and whether the user has changed the list since it began. */
    this.busy = this.early = false;
    /** What this last wrote to the form. */
    this.written = '';
    this.first = 0;
    this.element = el('div', { className: 'marks' });
    this.text = el('span', { className: 'hint grow' });
    this.toggle = el('button', { className: 'plain', type: 'button', onclick: () => this.change(this.clip.frame) });
    this.again = el('button', { className: 'plain', type: 'button', hidden: true, onclick: () => this.reset() }, t('cuts_found_again'));
    this.line = el('div', { className: 'row' }, this.text, this.toggle, this.again);
    this.stop = new AbortController();
  }

  /** Whether the cuts were changed. */
  get edited() {
    return this.written !== '';
  }

  /** Analyses a clip; null for none. @param {string | null} path in the API */
  async load(path) {
    this.stop.abort();
    const { signal } = (this.stop = new AbortController());
    [this.found, this.written, this.first] = [[], '', 0];
    [this.busy, this.early] = [Boolean(path), false];
    this.cuts = this.found;
    /** @type {any[]} */
    this.repeated = [];
    this.text.textContent = '';
    this.draw();
    if (!path) return;
    await new Promise((resolve) => setTimeout(resolve, DELAY_MS));
    if (signal.aborted) return;
    const answer = await fetch(url(`${path}/analysis`), { signal }).catch(() => null);
    const analysis = answer?.ok ? await answer.json().catch(() => null) : null;
    if (signal.aborted) return;
    this.busy = false;
    this.found = (analysis?.cuts ?? []).map((/** @type {any} */ cut) => cut.frame);
    this.repeated = analysis?.repeated ?? [];
    // Cuts that were added meanwhile join those that were found.
    if (this.early) {
      this.cuts = [...new Set([...this.cuts, ...this.found])].toSorted((a, b) => a - b);
      this.write();
    } else if (!this.edited) this.cuts = this.found;
    this.draw();
  }

  /** Takes over a change of the form: another list, or another start of the part, from which frames are counted. */
  sync() {
    const value = this.form.values.cut_list;
    const first = Math.round(this.clip.ends.start * this.clip.fps);
    if (value !== this.written) {
      this.written = value;
      this.cuts = value ? parse(value, this.clip.fps).map((frame) => frame + first) : this.found;
      this.draw();
    } else if (this.edited && first !== this.first) {
      this.first = first;
      this.write();
    }
    this.first = first;
    this.showButton();
  }

  /** Adds a cut before a frame, or removes it. @param {number} frame */
  change(frame) {
    const without = this.cuts.filter((cut) => cut !== frame);
    this.cuts = without.length < this.cuts.length ? without : [...this.cuts, frame].toSorted((a, b) => a - b);
    this.early = this.busy && (this.early || !this.edited) && this.cuts.length > 0;
    this.write();
    this.draw();
  }

  /** Returns to the cuts that the server found. */
  reset() {
    this.cuts = this.found;
    this.written = '';
    this.form.set({ cut_list: '', cut_threshold: this.form.initial('cut_threshold') });
    this.draw();
    this.toggle.focus();
  }

  /** Writes the list to the form: frames from the part's start; no detection if all cuts were removed. */
  write() {
    const inside = this.cuts.map((frame) => frame - this.first).filter((frame) => frame > 0);
    this.written = inside.join(', ');
    this.form.set({ cut_list: this.written, ...(inside.length === 0 ? { cut_threshold: 0 } : {}) });
  }

  /** Redraws ticks and shading. */
  draw() {
    const { length, fps } = this.clip;
    const place = (/** @type {number} */ time) => `${(100 * time) / (length || 1)}%`;
    const shades = (this.repeated ?? []).map(({ from_s: from, to_s: to, pattern }) => {
      const shade = el('div', { className: 'shade', title: t(`pattern_${pattern.replace(/\W+/g, '_')}`, {}, pattern) });
      shade.style.left = place(from);
      shade.style.width = place(to - from);
      return shade;
    });
    const ticks = this.cuts.slice(0, MAX_CUTS).map((frame) => this.tick(frame, place(frame / fps)));
    this.element.replaceChildren(...shades, ...ticks);
    const ranges = (this.repeated ?? []).slice(0, 3).map(({ from_s: from, to_s: to, pattern }) =>
      t('repeated', { from: timecode(from), to: timecode(to), pattern: t(`pattern_${pattern.replace(/\W+/g, '_')}`, {}, pattern) }));
    this.text.textContent = [this.busy ? t('cuts_sought') : '', this.busy && this.cuts.length === 0 ? '' : t('cuts_count', { n: this.cuts.length }), ...ranges].filter(Boolean).join(' · ');
    this.again.hidden = !this.edited && this.cuts === this.found;
    this.showButton();
  }

  /** Creates the tick of a cut: a click shows its frame, Delete removes it. @param {number} frame @param {string} left */
  tick(frame, left) {
    const tick = el('button', { className: 'tickmark', type: 'button', tabIndex: -1, 'aria-label': t('cut_at', { time: timecode(frame / this.clip.fps) }), onclick: () => this.clip.seek((frame + 0.5) / this.clip.fps) });
    tick.style.left = left;
    // The strip below would move the playhead.
    tick.addEventListener('pointerdown', (/** @type {Event} */ event) => event.stopPropagation());
    tick.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== 'Delete' && event.key !== 'Backspace') return;
      this.change(frame);
      this.toggle.focus();
    });
    return tick;
  }

  /** Shows what the button does at the shown frame. */
  showButton() {
    const here = this.cuts.includes(this.clip.frame);
    this.toggle.textContent = t(here ? 'cut_remove' : 'cut_add');
    this.toggle.disabled = this.clip.frame === 0;
    for (const [index, tick] of [...this.element.querySelectorAll('.tickmark')].entries()) tick.classList.toggle('here', this.cuts[index] === this.clip.frame);
  }
}

/** Returns the frames of a list of cuts. @param {string} text frame numbers or times @param {number} fps */
function parse(text, fps) {
  const entries = text.split(/[,\n]/).map((one) => one.trim()).filter(Boolean);
  const frames = entries.map((one) => (/^\d+$/.test(one) ? Number(one) : Math.ceil(seconds(one, fps) * fps - 1e-3)));
  return frames.filter((frame) => Number.isInteger(frame) && frame > 0);
}
