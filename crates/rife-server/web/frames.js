// @ts-check
// Tab "Select frames": saves two frames of a clip as inputs of the tab "Between images".

import { call } from './api.js';
import { el, say } from './dom.js';
import { CLIPS } from './files.js';
import { Inputs, frameUrl, resourcePath } from './inputs.js';
import { Sharp } from './sharp.js';
import { duration, t } from './text.js';

/** Tab "Select frames". */
export class Frames {
  /** @param {(inputs: import('./inputs.js').Input[]) => void} use */
  constructor(use) {
    this.use = use;
    /** Path of the clip that the pickers are set for. */
    this.shown = '';
    this.inputs = new Inputs('frames', { many: false, takes: 'clips', accept: CLIPS, drop: 'drop_one', label: 'choose_frames' }, () => this.changed());
    this.about = el('p', { className: 'hint' });
    this.first = this.picker('start_frame');
    this.last = this.picker('end_frame');
    this.wrong = el('p', { className: 'wrong', role: 'alert', hidden: true });
    this.button = el('button', { type: 'button', onclick: () => this.take() }, t('use_frames'));
    this.card = el('div', { className: 'card', hidden: true },
      this.about, el('div', { className: 'pair' }, this.first.element, this.last.element), this.wrong, el('div', { className: 'row' }, this.button));
    this.element = el('div', { role: 'tabpanel', id: 'panel-frames', 'aria-labelledby': 'tab-frames', tabIndex: 0 },
      el('p', { className: 'lead' }, t('lead_frames')), this.inputs.element, this.card);
    this.changed();
  }

  /** Creates a frame picker: number field, slider and preview. @param {string} label */
  picker(label) {
    const id = `frames-${label}`;
    const number = el('input', { id, type: 'number', min: 1, step: 1 });
    const slider = el('input', { type: 'range', min: 1, step: 1, 'aria-label': t(label) });
    const shown = new Sharp(el('img', { alt: '' }));
    const hint = el('span', { className: 'hint' });
    const picker = { number, slider, shown, hint, element: el('div', { className: 'field' }, el('label', { for: id }, t(label)), shown.box, slider, number, hint) };
    slider.addEventListener('input', () => this.choose(picker, slider.value));
    number.addEventListener('input', () => this.choose(picker, number.value));
    return picker;
  }

  /** The clip, if it is usable. */
  get item() {
    return this.inputs.ready[0];
  }

  /** Probes another clip and shows its first and last frame; what was chosen of the same clip stays. */
  async changed() {
    const item = this.item;
    this.card.hidden = !item;
    const path = item ? resourcePath(item.ref) : '';
    if (path === this.shown) return;
    this.shown = path;
    if (!item) return;
    try {
      const probe = await call('GET', `${path}/probe`);
      if (item !== this.item) return;
      const frames = probe.frames ?? 1;
      const fps = Math.round((probe.fps ?? 0) * 1000) / 1000;
      this.about.textContent = t('about_clip', { size: `${probe.width}×${probe.height}`, frames, fps, time: duration(probe.duration_s ?? 0) });
      for (const picker of [this.first, this.last]) {
        picker.number.max = picker.slider.max = String(frames);
        picker.hint.textContent = t('of_frames', { last: frames });
      }
      // The last frame is set first, since choose() checks the order of both.
      this.last.number.value = String(frames);
      this.choose(this.first, '1');
      this.choose(this.last, String(frames));
    } catch (error) {
      this.showError(/** @type {Error} */ (error).message);
    }
  }

  /** Sets a picker to a frame number, checks both, and shows the frame: at once a coarse one, then one as sharp as the screen. @param {any} picker @param {string} value */
  choose(picker, value) {
    picker.number.value = picker.slider.value = value;
    const numbers = [this.first, this.last].map(({ number }) => Number(number.value));
    const last = Number(this.last.number.max);
    const good = numbers.every((number) => Number.isInteger(number) && number >= 1 && number <= last);
    this.showError(!good ? t('of_frames', { last }) : numbers[0] < numbers[1] ? '' : t('frames_order'));
    const item = this.item;
    if (!item || !good) return;
    const at = Number(value);
    picker.shown.show((/** @type {number} */ width) => frameUrl(item.ref, at, width), t('frame', { n: at }), () => {
      // The frames beside it are probably wanted next.
      for (const near of [at + 1, at - 1]) if (near >= 1 && near <= last) new Image().src = frameUrl(item.ref, near, picker.shown.width);
    });
  }

  /** Shows an error and disables the button; an empty text clears both. @param {string} text */
  showError(text) {
    this.wrong.textContent = text;
    this.wrong.hidden = !text;
    this.button.disabled = Boolean(text);
  }

  /** Saves both frames as uploads and passes them to the next tab. */
  async take() {
    const item = this.item;
    const numbers = [this.first, this.last].map(({ number }) => Number(number.value));
    this.button.disabled = true;
    try {
      const taken = [];
      for (const frame of numbers) {
        const upload = await call('POST', '/frames', { input: item.ref, frame });
        taken.push({ ref: { upload: upload.id }, name: upload.name, size: upload.size });
      }
      this.use(taken);
      say(t('used_frames', { a: numbers[0], b: numbers[1] }));
    } catch (error) {
      this.showError(/** @type {Error} */ (error).message);
    }
    this.button.disabled = false;
  }
}
