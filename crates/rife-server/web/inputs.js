// @ts-check
// List of inputs of a tab: uploaded files and results of other jobs, in an order that can be changed.

import { ApiError, call, deleteUpload, assertReadable, send, url } from './api.js';
import { el, notice, say } from './dom.js';
import { collectFiles } from './files.js';
import { bytes, duration, t } from './text.js';

/**
 * @typedef {{ref: any, name: string, size?: number, modified?: number, upload?: string, busy?: AbortController, fraction?: number,
 *   file?: File, about?: string, probe?: any, wrong?: string, refused?: string, idle?: string}} Input
 * `ref` is null until the upload is complete; `upload` is the upload's id; `fraction` is the sent fraction from 0 to 1; `about`
 * describes the file, `probe` is its Probe; `wrong` says why the file cannot be used here, `refused` why not with the current options,
 * `idle` why these options add no frames to it.
 */

/** All lists of the page: an upload may be in several. @type {Inputs[]} */
const LISTS = [];
/** Milliseconds after which a probe is retried that the server was too busy for. */
const RETRY_MS = 1500;
/** Chain of probes, which run one after the other. */
let probes = Promise.resolve();

/** Returns the API path of an input. @param {any} ref */
export const resourcePath = (ref) =>
  ref.upload ? `/uploads/${ref.upload}` : `/jobs/${ref.job}/files/${encodeURIComponent(ref.file)}`;

/** Returns the URL of a frame as a JPEG. @param {any} ref @param {number} number counted from 1 @param {number} width in pixels */
export const frameUrl = (ref, number, width) => url(`${resourcePath(ref)}/frames/${number}?width=${width}`);

/** Allowed folders of the server, loaded once. @type {Promise<import('./folders.js').Root[]> | undefined} */
let roots;

/** Creates the button that opens the files of the server, in a dialog that is loaded for that; hidden unless there are allowed folders.
 * @param {boolean} many @param {(input: Input) => void} add
 */
function folderButton(many, add) {
  roots ??= call('GET', '/folders').then(({ items }) => items, () => []);
  const button = el('button', { className: 'plain', type: 'button', hidden: true }, t('server_files'));
  roots.then((items) => {
    button.hidden = items.length === 0;
    button.addEventListener('click', () => import('./folders.js').then(({ browse }) => browse(items, many, add)).catch((error) => notice(error.message)));
  });
  return button;
}

/** List of inputs of one tab. */
export class Inputs {
  /**
   * @param {string} key the tab
   * @param {{many: boolean, accept: string, drop: string, label: string, takes: 'clips' | 'pictures', ordered?: boolean}} options
   * @param {() => void} changed
   */
  constructor(key, options, changed) {
    this.key = key;
    this.options = options;
    this.changed = changed;
    /** @type {Input[]} */
    this.items = JSON.parse(sessionStorage.getItem(`inputs-${key}`) ?? '[]');
    LISTS.push(this);
    /** @type {Map<Input, HTMLElement>} */
    this.rows = new Map();
    /** Whether rows are to be redrawn when the dragged one is dropped. */
    this.late = false;
    this.list = el('ul', { className: 'inputs' });
    this.element = el('div', { className: 'card' }, this.drop(), folderButton(options.many, (item) => this.add(item)), this.list);
    this.show();
    for (const item of this.items) this.probe(item);
  }

  /** Inputs that are complete and usable. */
  get ready() {
    return this.items.filter((item) => item.ref && !item.wrong);
  }

  /** Whether an upload is in progress. */
  get waiting() {
    return this.items.some((item) => item.busy);
  }

  /** Number of inputs that cannot be used as they are. */
  get unusable() {
    return this.items.filter((item) => item.wrong || item.refused || (!item.ref && !item.busy)).length;
  }

  /** Creates the drop area with its file input. */
  drop() {
    const { many, accept, drop, label } = this.options;
    const file = el('input', { type: 'file', multiple: many, accept, 'aria-label': t(label) });
    file.addEventListener('change', () => {
      this.take([...file.files]);
      file.value = '';
    });
    const area = el('div', { className: 'drop' }, el('b', {}, t(drop)), many && !this.options.ordered ? el('span', { className: 'hint' }, t('several_queue')) : null, file);
    return area;
  }

  /** Adds files and folders that were dropped or pasted. @param {DataTransfer} data */
  async receive(data) {
    try {
      const { files, message } = await collectFiles(data, this.options.takes);
      this.take(files);
      if (message) notice(message);
    } catch {
      notice(t('unreadable_here'));
    }
  }

  /** Adds and uploads files; resumes the interrupted upload of the same file. @param {File[]} files */
  take(files) {
    notice(!this.options.many && files.length > 1 ? t('only_first', { name: files[0].name, count: files.length }) : '');
    for (const file of this.options.many ? files : files.slice(0, 1)) {
      const begun = this.items.find((item) => !item.ref && !item.busy && item.name === file.name && item.size === file.size && item.modified === file.lastModified);
      const item = begun ?? { ref: null, name: file.name, size: file.size, modified: file.lastModified, fraction: 0 };
      if (!begun) this.add(item);
      this.upload(item, file);
    }
  }

  /** Sends the missing bytes of a file. @param {Input} item @param {File} file */
  async upload(item, file) {
    const { signal } = (item.busy = new AbortController());
    item.file = file;
    this.changes();
    try {
      await assertReadable(file);
      let upload = item.upload ? await call('GET', `/uploads/${item.upload}`).catch(() => null) : null;
      upload ??= await call('POST', '/uploads', { name: file.name, size: file.size });
      item.upload = upload.id;
      this.keep();
      await send(file, upload, (fraction) => this.progress(item, fraction), signal);
      item.ref = { upload: upload.id };
      item.busy = item.file = undefined;
      this.changes();
      this.probe(item);
    } catch (error) {
      item.busy = undefined;
      if (signal.aborted) return;
      if (error instanceof ApiError) {
        this.remove(item);
        notice(`${file.name}: ${error.message}`);
      } else this.changes();
    }
  }

  /** Probes a file on the server, and shows its properties or why it cannot be used. @param {Input} item */
  probe(item) {
    if (!item.ref || item.about) return;
    probes = probes.then(async () => {
      if (!this.items.includes(item)) return;
      try {
        const probe = await call('GET', `${resourcePath(item.ref)}/probe`);
        item.about = describe(probe);
        item.probe = probe;
        item.wrong = this.mismatch(probe);
      } catch (error) {
        if (!(error instanceof ApiError) || error.code === 'too_many') setTimeout(() => this.probe(item), RETRY_MS);
        else item.wrong = error.message;
      }
      if (!this.items.includes(item)) return;
      this.changes();
      if (item.wrong) say(`${item.name}: ${item.wrong}`);
    });
  }

  /** Returns why a file cannot be used in this tab, if so. @param {any} probe */
  mismatch(probe) {
    if (this.options.takes === 'pictures') return probe.kind === 'video' && probe.frames !== 1 ? t('not_a_picture') : undefined;
    return probe.kind === 'image' || probe.frames === 1 ? t('not_a_clip') : undefined;
  }

  /** Shows the progress of an upload. @param {Input} item @param {number} fraction from 0 to 1 */
  progress(item, fraction) {
    item.fraction = fraction;
    this.keep();
    const row = this.list.children[this.items.indexOf(item)];
    const bar = row?.querySelector('progress');
    if (!bar) return;
    bar.value = fraction;
    row.querySelector('.hint').textContent = t('uploading', { percent: Math.floor(fraction * 100) });
  }

  /** Appends an input; replaces the present one in a list for a single file. @param {Input} item */
  add(item) {
    if (!this.options.many) for (const old of this.items) this.remove(old);
    this.items.push(item);
    this.changes();
    this.probe(item);
  }

  /** Removes an input, and deletes its upload unless another list has it. @param {Input} item */
  remove(item) {
    item.busy?.abort();
    this.items = this.items.filter((other) => other !== item);
    this.changes();
    const id = item.ref ? item.ref.upload : item.upload;
    const elsewhere = LISTS.some(({ items }) => items.some((other) => other.ref?.upload === id));
    if (id && !elsewhere) deleteUpload(id);
  }

  /** Removes all inputs. */
  clear() {
    for (const item of this.items) this.remove(item);
  }

  /** Moves an input to another position. @param {number} from @param {number} to */
  move(from, to) {
    if (to < 0 || to >= this.items.length) return;
    this.items.splice(to, 0, ...this.items.splice(from, 1));
    this.changes();
    say(`${this.items[to].name}: ${to + 1}`);
  }

  /** Saves the list in the session. */
  keep() {
    const saved = this.items.map(({ ref, name, size, modified, upload, fraction }) => ({ ref, name, size, modified, upload, fraction }));
    sessionStorage.setItem(`inputs-${this.key}`, JSON.stringify(saved));
  }

  /** Saves, redraws and reports a change. */
  changes() {
    this.keep();
    this.show();
    this.changed();
  }

  /** Redraws the rows, keeping the focus. */
  show() {
    // A row that is dragged would be lost.
    if (this.list.querySelector('.dragged')) {
      this.late = true;
      return;
    }
    const held = [...this.rows].find(([, row]) => row.contains(document.activeElement));
    const sign = document.activeElement?.textContent;
    this.rows = new Map(this.items.map((item, index) => [item, this.row(item, index)]));
    this.list.replaceChildren(...this.rows.values());
    this.list.hidden = this.items.length === 0;
    if (held) this.focus(this.rows.get(held[0]), sign);
  }

  /** Restores the focus after the rows were redrawn: to the same button, or one of the same row.
   * @param {HTMLElement | undefined} row undefined if its input was removed @param {string | null | undefined} sign text of the button
   */
  focus(row, sign) {
    const buttons = /** @type {HTMLElement[]} */ ([...(row?.querySelectorAll('button:not(:disabled)') ?? [])]);
    const again = buttons.find((button) => button.textContent === sign) ?? buttons[0] ?? this.element.querySelector('input');
    again?.focus();
  }

  /** Creates the row of an input. @param {Input} item @param {number} index */
  row(item, index) {
    const { name } = item;
    const button = (/** @type {string} */ text, /** @type {string} */ sign, /** @type {() => void} */ click, off = false) =>
      el('button', { className: 'plain icon', type: 'button', 'aria-label': t(text, { name }), title: t(text, { name }), disabled: off, onclick: click }, sign);
    const picture = item.ref && !item.wrong
      ? el('img', { alt: '', loading: 'lazy', src: frameUrl(item.ref, 1, 176) })
      : el('span', { className: 'blank' });
    const ordered = this.options.ordered && this.items.length > 1;
    const row = el('li', { draggable: Boolean(ordered), className: item.wrong || item.refused ? 'bad' : '' },
      picture,
      el('div', {}, el('div', { className: 'name', title: name }, name), ...this.state(item)),
      el('div', { className: 'row' },
        ordered && button('earlier', '↑', () => this.move(index, index - 1), index === 0),
        ordered && button('later', '↓', () => this.move(index, index + 1), index === this.items.length - 1),
        !item.ref && !item.busy && item.file && button('again', '↻', () => this.upload(item, /** @type {File} */ (item.file))),
        button('remove', '✕', () => this.remove(item))));
    if (ordered) this.drag(row, index);
    return row;
  }

  /** Returns the status of an input: upload progress, properties, or error. @param {Input} item @returns {(HTMLElement | null)[]} */
  state(item) {
    const percent = Math.floor((item.fraction ?? 0) * 100);
    if (item.busy) return [el('progress', { max: 1, value: item.fraction, 'aria-label': item.name }), el('span', { className: 'hint' }, t('uploading', { percent }))];
    if (!item.ref) return [el('span', { className: 'wrong' }, t(item.file ? 'broke_off' : 'choose_again', { percent }))];
    const facts = [item.about, item.size ? bytes(item.size) : ''].filter(Boolean).join(' · ');
    return [el('span', { className: 'hint' }, facts), item.wrong || item.refused || item.idle ? el('div', { className: 'wrong' }, item.wrong ?? item.refused ?? item.idle) : null];
  }

  /** Makes a row draggable to another position. @param {HTMLElement} row @param {number} index */
  drag(row, index) {
    row.addEventListener('dragstart', (event) => {
      row.classList.add('dragged');
      event.dataTransfer?.setData('text/plain', String(index));
    });
    row.addEventListener('dragend', () => {
      row.classList.remove('dragged');
      if (this.late) this.show();
      this.late = false;
    });
    row.addEventListener('dragover', (event) => {
      if (event.dataTransfer?.types.includes('Files')) return;
      event.preventDefault();
      row.classList.add('target');
    });
    row.addEventListener('dragleave', () => row.classList.remove('target'));
    row.addEventListener('drop', (event) => {
      if (event.dataTransfer?.types.includes('Files')) return;
      event.preventDefault();
      row.classList.remove('target');
      const from = Number.parseInt(event.dataTransfer?.getData('text/plain') ?? '', 10);
      if (Number.isInteger(from)) this.move(from, index);
    });
  }
}

/** Describes a probed file in one line. @param {any} probe */
function describe(probe) {
  const size = `${probe.width}×${probe.height}`;
  if (probe.kind === 'image') return size;
  const fps = Math.round((probe.fps ?? 0) * 1000) / 1000;
  const sound = probe.streams.some((/** @type {any} */ stream) => stream.kind === 'audio');
  return [size, fps && t('fps', { fps }), probe.duration_s && duration(probe.duration_s), sound ? t('with_sound') : ''].filter(Boolean).join(' · ');
}
