// @ts-check
// What a tab works on: files that are dropped or chosen, and results of other jobs; in an order that can be changed.

import { send, url } from './api.js';
import { el, notice, say } from './dom.js';
import { bytes, t } from './text.js';

/** @typedef {{ref: any, name: string, size?: number, busy?: AbortController, part?: number}} Input */

/** What clips are, to the dialog that chooses files. */
export const CLIPS = 'video/*,.mkv,.mov,.avi,.ts';

/** The address of what stands for an input in the API. @param {any} ref */
export const place = (ref) =>
  ref.upload ? `/uploads/${ref.upload}` : `/jobs/${ref.job}/files/${encodeURIComponent(ref.file)}`;

/** @param {any} ref @param {number} number @param {number} width */
export const frameUrl = (ref, number, width) => url(`${place(ref)}/frames/${number}?width=${width}`);

export class Inputs {
  /**
   * @param {string} key the tab
   * @param {{many: boolean, accept: string, drop: string, label: string, ordered?: boolean}} options
   * @param {() => void} changed
   */
  constructor(key, options, changed) {
    this.key = key;
    this.options = options;
    this.changed = changed;
    /** @type {Input[]} */
    this.items = JSON.parse(sessionStorage.getItem(`inputs-${key}`) ?? '[]');
    /** @type {Map<Input, HTMLElement>} */
    this.rows = new Map();
    this.list = el('ul', { className: 'inputs' });
    this.element = el('div', { className: 'card' }, this.drop(), this.list);
    this.show();
  }

  /** Those that have arrived. */
  get ready() {
    return this.items.filter((item) => !item.busy);
  }

  get waiting() {
    return this.items.some((item) => item.busy);
  }

  drop() {
    const { many, accept, drop, label } = this.options;
    const file = el('input', { type: 'file', multiple: many, accept, 'aria-label': t(label) });
    file.addEventListener('change', () => {
      this.take([...file.files]);
      file.value = '';
    });
    const area = el('div', { className: 'drop' }, el('b', {}, t(drop)), many && !this.options.ordered ? el('span', { className: 'hint' }, t('several_queue')) : null, file);
    for (const type of ['dragenter', 'dragover']) area.addEventListener(type, () => area.classList.add('over'));
    for (const type of ['dragleave', 'drop']) area.addEventListener(type, () => area.classList.remove('over'));
    return area;
  }

  /** @param {File[]} files */
  take(files) {
    for (const file of this.options.many ? files : files.slice(0, 1)) this.upload(file);
  }

  /** @param {File} file */
  async upload(file) {
    notice('');
    const item = /** @type {Input} */ ({ ref: null, name: file.name, size: file.size, busy: new AbortController(), part: 0 });
    this.add(item);
    try {
      const signal = /** @type {AbortController} */ (item.busy).signal;
      const upload = await send(file, (part) => this.progress(item, part), signal);
      item.ref = { upload: upload.id };
      item.busy = undefined;
      this.changes();
    } catch (error) {
      this.remove(item);
      if (/** @type {any} */ (error).name !== 'AbortError') notice(`${file.name}: ${/** @type {Error} */ (error).message}`);
    }
  }

  /** @param {Input} item @param {number} part */
  progress(item, part) {
    item.part = part;
    const row = this.list.children[this.items.indexOf(item)];
    const bar = row?.querySelector('progress');
    if (!bar) return;
    bar.value = part;
    row.querySelector('.hint').textContent = t('uploading', { percent: Math.floor(part * 100) });
  }

  /** @param {Input} item */
  add(item) {
    if (!this.options.many) {
      for (const old of this.items) old.busy?.abort();
      this.items = [];
    }
    this.items.push(item);
    this.changes();
  }

  /** @param {Input} item */
  remove(item) {
    item.busy?.abort();
    this.items = this.items.filter((other) => other !== item);
    this.changes();
  }

  /** @param {number} from @param {number} to */
  move(from, to) {
    if (to < 0 || to >= this.items.length) return;
    this.items.splice(to, 0, ...this.items.splice(from, 1));
    this.changes();
    say(`${this.items[to].name}: ${to + 1}`);
  }

  changes() {
    const kept = this.ready.map(({ ref, name, size }) => ({ ref, name, size }));
    sessionStorage.setItem(`inputs-${this.key}`, JSON.stringify(kept));
    this.show();
    this.changed();
  }

  show() {
    const held = [...this.rows].find(([, row]) => row.contains(document.activeElement));
    const sign = document.activeElement?.textContent;
    this.rows = new Map(this.items.map((item, index) => [item, this.row(item, index)]));
    this.list.replaceChildren(...this.rows.values());
    this.list.hidden = this.items.length === 0;
    if (held) this.focus(this.rows.get(held[0]), sign);
  }

  /**
   * Rows are made anew whenever one changes: who was on a button of one stays on it, and moves on with it.
   * @param {HTMLElement | undefined} row gone where its input is @param {string | null | undefined} sign
   */
  focus(row, sign) {
    const buttons = /** @type {HTMLElement[]} */ ([...(row?.querySelectorAll('button:not(:disabled)') ?? [])]);
    const again = buttons.find((button) => button.textContent === sign) ?? buttons[0] ?? this.element.querySelector('input');
    again?.focus();
  }

  /** @param {Input} item @param {number} index */
  row(item, index) {
    const { name } = item;
    const button = (/** @type {string} */ text, /** @type {string} */ sign, /** @type {() => void} */ click, off = false) =>
      el('button', { className: 'plain icon', type: 'button', 'aria-label': t(text, { name }), title: t(text, { name }), disabled: off, onclick: click }, sign);
    const picture = item.busy
      ? el('span', { className: 'blank' })
      : el('img', { alt: '', loading: 'lazy', src: frameUrl(item.ref, 1, 176) });
    const about = item.busy
      ? [el('progress', { max: 1, value: item.part, 'aria-label': name }), el('span', { className: 'hint' }, t('uploading', { percent: Math.floor((item.part ?? 0) * 100) }))]
      : [el('span', { className: 'hint' }, item.size ? bytes(item.size) : '')];
    const ordered = this.options.ordered && this.items.length > 1;
    const row = el('li', { draggable: Boolean(ordered) },
      picture,
      el('div', {}, el('div', { className: 'name', title: name }, name), ...about),
      el('div', { className: 'row' },
        ordered && button('earlier', '↑', () => this.move(index, index - 1), index === 0),
        ordered && button('later', '↓', () => this.move(index, index + 1), index === this.items.length - 1),
        button('remove', '✕', () => this.remove(item))));
    if (ordered) this.drag(row, index);
    return row;
  }

  /** @param {HTMLElement} row @param {number} index */
  drag(row, index) {
    row.addEventListener('dragstart', (event) => {
      row.classList.add('dragged');
      event.dataTransfer?.setData('text/plain', String(index));
    });
    row.addEventListener('dragend', () => row.classList.remove('dragged'));
    row.addEventListener('dragover', (event) => {
      event.preventDefault();
      row.classList.add('target');
    });
    row.addEventListener('dragleave', () => row.classList.remove('target'));
    row.addEventListener('drop', (event) => {
      event.preventDefault();
      row.classList.remove('target');
      const from = Number.parseInt(event.dataTransfer?.getData('text/plain') ?? '', 10);
      if (Number.isInteger(from)) this.move(from, index);
    });
  }
}
