// @ts-check
// Form with the options of a job, built from a list of fields; only values that differ from the default are sent.

import { el } from './dom.js';
import { t } from './text.js';

/**
 * @typedef {{name: string, kind: 'choice' | 'radio' | 'number' | 'text' | 'check', label: string, hint?: string,
 *   choices?: [string, string][], value?: any, min?: number, max?: number, step?: number | 'any', more?: boolean,
 *   shown?: (values: Record<string, any>) => boolean, numeric?: boolean, always?: boolean, local?: boolean, needed?: string}} Field
 * `more`: under "More options"; `local`: not sent; `always`: sent even if it is the default; `numeric`: sent as a number;
 * `needed`: error text if the field is empty.
 */

/** Form of one tab. */
export class Form {
  /** @param {string} key @param {Field[]} fields @param {() => void} changed */
  constructor(key, fields, changed) {
    this.key = key;
    this.fields = fields;
    this.changed = changed;
    /** @type {Map<string, {field: Field, input: any, box: HTMLElement, wrong: HTMLElement}>} */
    this.controls = new Map();
    const saved = JSON.parse(sessionStorage.getItem(`options-${key}`) ?? '{}');
    const make = (/** @type {Field} */ field) => this.control(field, saved[field.name]);
    // Checkboxes are grouped below the other fields.
    const group = (/** @type {boolean} */ more) => [false, true].map((check) => {
      const some = fields.filter((field) => Boolean(field.more) === more && (field.kind === 'check') === check);
      return some.length > 0 && el('div', { className: check ? 'fields checks' : 'fields' }, ...some.map(make));
    });
    this.count = el('span', { className: 'count' });
    this.element = el('div', { className: 'card' }, ...group(false),
      fields.some((field) => field.more) && el('details', {}, el('summary', {}, t('more_options'), this.count), el('div', { className: 'groups' }, ...group(true))),
      el('div', { className: 'row' }, el('button', { className: 'plain', type: 'button', onclick: () => this.reset() }, t('reset'))));
    this.show();
  }

  /** Creates the control of a field with label, hint and error. @param {Field} field @param {any} saved value of the session */
  control(field, saved) {
    const id = `${this.key}-${field.name}`;
    const wrong = el('span', { className: 'wrong', id: `${id}-wrong`, hidden: true });
    const hint = field.hint ? el('span', { className: 'hint', id: `${id}-hint` }, t(field.hint)) : null;
    const input = inputElement(field, id);
    if (field.kind === 'check') input.checked = saved ?? field.value ?? false;
    else input.value = saved ?? field.value ?? '';
    if (hint) input.setAttribute('aria-describedby', hint.id);
    input.addEventListener(field.kind === 'text' || field.kind === 'number' ? 'input' : 'change', () => this.changes());
    const label = field.kind === 'radio' ? el('span', { className: 'label', id: `${id}-label` }, t(field.label)) : el('label', { for: id }, t(field.label));
    const box = field.kind === 'check'
      ? el('div', { className: 'field' }, el('div', { className: 'check' }, input, el('div', {}, label, hint && el('div', {}, hint))), wrong)
      : el('div', { className: 'field' }, label, input, hint, wrong);
    this.controls.set(field.name, { field, input, box, wrong });
    return box;
  }

  /** All values of the form by name. */
  get values() {
    /** @type {Record<string, any>} */
    const values = {};
    for (const [name, { field, input }] of this.controls) {
      if (field.kind === 'check') values[name] = input.checked;
      else if (field.kind === 'number' || field.numeric) values[name] = input.value === '' ? '' : Number(input.value);
      else values[name] = input.value;
    }
    return values;
  }

  /** Whether a required field is empty. */
  get missing() {
    const values = this.values;
    return this.fields.some((field) => field.needed && (!field.shown || field.shown(values)) && values[field.name] === '');
  }

  /** Options of a job request: values of visible fields that differ from the default. */
  get options() {
    const values = this.values;
    return Object.fromEntries(this.fields
      .filter((field) => !field.local && (!field.shown || field.shown(values)))
      .filter(({ name, value, always }) => values[name] !== '' && values[name] !== false && (always || values[name] !== value))
      .map(({ name }) => [name, values[name]]));
  }

  /** Replaces the choices of a field, keeping its value if possible. @param {string} name @param {[string, string][]} choices value and label */
  choices(name, choices) {
    const entry = this.controls.get(name);
    if (!entry) return;
    const value = entry.input.value;
    entry.input.replaceChildren(...choices.map(([choice, label]) => el('option', { value: choice }, label)));
    entry.input.value = choices.some(([known]) => known === value) ? value : choices[0]?.[0];
  }

  /** Enables or disables a field. @param {string} name @param {boolean} usable */
  enable(name, usable) {
    const entry = this.controls.get(name);
    if (!entry) return;
    entry.input.disabled = !usable;
    if (!usable && entry.field.kind === 'check') entry.input.checked = false;
  }

  /** Sets fields to values; unknown ones are ignored. @param {Record<string, any>} values */
  set(values) {
    for (const [name, value] of Object.entries(values)) {
      const entry = this.controls.get(name);
      if (!entry) continue;
      if (entry.field.kind === 'check') entry.input.checked = value;
      else entry.input.value = String(value);
    }
    this.changes();
  }

  /** Sets all fields to the options of a job, the others to their defaults. @param {Record<string, any>} options */
  restore(options) {
    for (const { field, input } of this.controls.values()) {
      if (field.kind === 'check') input.checked = field.value ?? false;
      else input.value = field.value ?? '';
    }
    const by = ['fps', 'passes', 'factor'].find((name) => name in options && !options.slow_motion);
    this.set({ ...(this.controls.has('by') ? { by: by ?? 'factor' } : {}), ...options });
  }

  /** Shows the fields of options that are under "More options". @param {string[]} names */
  reveal(names) {
    const [first] = names.map((name) => this.controls.get(name)?.box).filter((box) => box?.closest('details'));
    const details = first?.closest('details');
    if (!first || !details) return;
    details.open = true;
    first.scrollIntoView({ block: 'center' });
  }

  /** Sets all fields to their defaults. */
  reset() {
    for (const { field, input } of this.controls.values()) {
      if (field.kind === 'check') input.checked = field.value ?? false;
      else input.value = field.value ?? '';
    }
    this.changes();
  }

  /** Saves the values in the session and reports the change. */
  changes() {
    sessionStorage.setItem(`options-${this.key}`, JSON.stringify(this.values));
    this.show();
    this.changed();
  }

  /** Returns the default of a field. @param {string} name */
  initial(name) {
    const field = this.fields.find((one) => one.name === name);
    return field?.value ?? (field?.kind === 'check' ? false : '');
  }

  /** Hides fields that do not apply, and shows errors of empty required fields. */
  show() {
    const values = this.values;
    for (const { field, box } of this.controls.values()) box.hidden = Boolean(field.shown && !field.shown(values));
    const changed = this.fields.filter((field) => field.more && String(values[field.name]) !== String(this.initial(field.name))).length;
    this.count.textContent = changed > 0 ? t('changed_options', { n: changed }) : '';
    this.showError(undefined, '');
    const empty = this.fields.find((field) => field.needed && (!field.shown || field.shown(values)) && values[field.name] === '');
    if (empty) this.showError(empty.name, t(empty.needed ?? ''));
  }

  /** Shows an error at a field; returns false if there is no field of that name.
   * @param {string | undefined} name @param {string} text
   */
  showError(name, text) {
    for (const { input, wrong } of this.controls.values()) {
      wrong.hidden = true;
      input.removeAttribute('aria-invalid');
    }
    const entry = name === undefined ? undefined : this.controls.get(name);
    if (!entry) return false;
    entry.wrong.textContent = text;
    entry.wrong.hidden = false;
    entry.input.setAttribute('aria-invalid', 'true');
    entry.input.setAttribute('aria-errormessage', entry.wrong.id);
    const details = entry.box.closest('details');
    if (details) details.open = true;
    return true;
  }
}

/** Creates a group of radio buttons with the interface of a selection: `value` and the event `change`. @param {Field} field @param {string} id */
function radioGroup(field, id) {
  const radios = (field.choices ?? []).map(([value, label]) => {
    const radio = el('input', { type: 'radio', name: id, value, id: `${id}-${value}` });
    return { radio, item: el('label', {}, radio, el('span', {}, label)) };
  });
  const group = el('div', { id, className: 'segments', role: 'radiogroup', 'aria-labelledby': `${id}-label` }, ...radios.map(({ item }) => item));
  Object.defineProperty(group, 'value', {
    get: () => radios.find(({ radio }) => radio.checked)?.radio.value ?? '',
    set: (value) => { for (const { radio } of radios) radio.checked = radio.value === String(value); },
  });
  return group;
}

/** Creates the input element of a field. @param {Field} field @param {string} id */
function inputElement(field, id) {
  if (field.kind === 'radio') return radioGroup(field, id);
  if (field.kind === 'choice') {
    return el('select', { id }, ...(field.choices ?? []).map(([value, label]) => el('option', { value }, label)));
  }
  if (field.kind === 'number') {
    return el('input', { id, type: 'number', min: field.min, max: field.max, step: field.step ?? 1, inputMode: 'decimal' });
  }
  return el('input', { id, type: field.kind === 'check' ? 'checkbox' : 'text', autocomplete: 'off', spellcheck: false });
}
