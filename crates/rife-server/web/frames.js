// @ts-check
// The tab that takes two frames of a clip to the next one.

import { call } from './api.js';
import { el, say } from './dom.js';
import { CLIPS } from './files.js';
import { Inputs, frameUrl, place } from './inputs.js';
import { duration, t } from './text.js';

/** Milliseconds without a move before a picture is fetched. */
const PAUSE = 150;

export class Frames {
  /** @param {(inputs: import('./inputs.js').Input[]) => void} use */
  constructor(use) {
    this.use = use;
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

  /** A number, a scrubber and the frame. @param {string} label */
  picker(label) {
    const id = `frames-${label}`;
    const number = el('input', { id, type: 'number', min: 1, step: 1 });
    const slider = el('input', { type: 'range', min: 1, step: 1, 'aria-label': t(label) });
    const picture = el('img', { alt: '' });
    const hint = el('span', { className: 'hint' });
    const picker = { number, slider, picture, hint, timer: 0, element: el('div', { className: 'field' }, el('label', { for: id }, t(label)), picture, slider, number, hint) };
    slider.addEventListener('input', () => this.choose(picker, slider.value));
    number.addEventListener('input', () => this.choose(picker, number.value));
    return picker;
  }

  get item() {
    return this.inputs.ready[0];
  }

  async changed() {
    const item = this.item;
    this.card.hidden = !item;
    if (!item) return;
    try {
      const probe = await call('GET', `${place(item.ref)}/probe`);
      if (item !== this.item) return;
      const frames = probe.frames ?? 1;
      const fps = Math.round((probe.fps ?? 0) * 1000) / 1000;
      this.about.textContent = t('about_clip', { size: `${probe.width}×${probe.height}`, frames, fps, time: duration(probe.duration_s ?? 0) });
      for (const picker of [this.first, this.last]) {
        picker.number.max = picker.slider.max = String(frames);
        picker.hint.textContent = t('of_frames', { last: frames });
      }
      // Both have a number before either is judged: one alone is out of order.
      this.last.number.value = String(frames);
      this.choose(this.first, '1');
      this.choose(this.last, String(frames));
    } catch (error) {
      this.refuse(/** @type {Error} */ (error).message);
    }
  }

  /** @param {any} picker @param {string} value */
  choose(picker, value) {
    picker.number.value = picker.slider.value = value;
    const numbers = [this.first, this.last].map(({ number }) => Number(number.value));
    const most = Number(this.last.number.max);
    const good = numbers.every((number) => Number.isInteger(number) && number >= 1 && number <= most);
    this.refuse(!good ? t('of_frames', { last: most }) : numbers[0] < numbers[1] ? '' : t('frames_order'));
    clearTimeout(picker.timer);
    const item = this.item;
    if (item && good) {
      picker.timer = setTimeout(() => {
        picker.picture.src = frameUrl(item.ref, Number(value), 480);
        picker.picture.alt = t('frame', { n: value });
      }, PAUSE);
    }
  }

  /** @param {string} text */
  refuse(text) {
    this.wrong.textContent = text;
    this.wrong.hidden = !text;
    this.button.disabled = Boolean(text);
  }

  /** Both frames, in their natural order, to the next tab. */
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
      this.refuse(/** @type {Error} */ (error).message);
    }
    this.button.disabled = false;
  }
}
