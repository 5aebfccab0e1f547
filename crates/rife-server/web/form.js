// @ts-check
// Options as form fields, made from a list; only what differs from its default is sent.

import { el } from './dom.js';
import { t } from './text.js';

/**
 * @typedef {{name: string, kind: 'choice' | 'number' | 'text' | 'check', label: string, hint?: string,
 *   choices?: [string, string][], value?: any, min?: number, max?: number, step?: number | 'any', more?: boolean,
 *   shown?: (values: Record<string, any>) => boolean, numeric?: boolean, always?: boolean, local?: boolean, needed?: string}} Field
 * `needed` is what to say where it is empty and must not be.
 */

export class Form {
  /** @param {string} key @param {Field[]} fields @param {() => void} changed */
  constructor(key, fields, changed) {
    this.key = key;
    this.fields = fields;
    this.changed = changed;
    /** @type {Map<string, {field: Field, input: any, box: HTMLElement, wrong: HTMLElement}>} */
    this.parts = new Map();
    const kept = JSON.parse(sessionStorage.getItem(`options-${key}`) ?? '{}');
    const make = (/** @type {Field} */ field) => this.part(field, kept[field.name]);
    // Boxes to tick stand together below what is filled in.
    const group = (/** @type {boolean} */ more) => [false, true].map((check) => {
      const some = fields.filter((field) => Boolean(field.more) === more && (field.kind === 'check') === check);
      return some.length > 0 && el('div', { className: check ? 'fields checks' : 'fields' }, ...some.map(make));
    });
    this.element = el('div', { className: 'card' }, ...group(false),
      fields.some((field) => field.more) && el('details', {}, el('summary', {}, t('more_options')), el('div', { className: 'groups' }, ...group(true))));
    this.show();
  }

  /** @param {Field} field @param {any} kept */
  part(field, kept) {
    const id = `${this.key}-${field.name}`;
    const wrong = el('span', { className: 'wrong', id: `${id}-wrong`, hidden: true });
    const hint = field.hint ? el('span', { className: 'hint', id: `${id}-hint` }, t(field.hint)) : null;
    const input = control(field, id);
    if (field.kind === 'check') input.checked = kept ?? field.value ?? false;
    else input.value = kept ?? field.value ?? '';
    if (hint) input.setAttribute('aria-describedby', hint.id);
    input.addEventListener(field.kind === 'text' || field.kind === 'number' ? 'input' : 'change', () => this.changes());
    const label = el('label', { for: id }, t(field.label));
    const box = field.kind === 'check'
      ? el('div', { className: 'field' }, el('div', { className: 'check' }, input, el('div', {}, label, hint && el('div', {}, hint))), wrong)
      : el('div', { className: 'field' }, label, input, hint, wrong);
    this.parts.set(field.name, { field, input, box, wrong });
    return box;
  }

  /** All values as they are shown. */
  get values() {
    /** @type {Record<string, any>} */
    const values = {};
    for (const [name, { field, input }] of this.parts) {
      if (field.kind === 'check') values[name] = input.checked;
      else if (field.kind === 'number' || field.numeric) values[name] = input.value === '' ? '' : Number(input.value);
      else values[name] = input.value;
    }
    return values;
  }

  /** Whether something that must be given is not. */
  get missing() {
    const values = this.values;
    return this.fields.some((field) => field.needed && (!field.shown || field.shown(values)) && values[field.name] === '');
  }

  /** What a job is told: values that are shown and are not the default. */
  get options() {
    const values = this.values;
    return Object.fromEntries(this.fields
      .filter((field) => !field.local && (!field.shown || field.shown(values)))
      .filter(({ name, value, always }) => values[name] !== '' && values[name] !== false && (always || values[name] !== value))
      .map(({ name }) => [name, values[name]]));
  }

  /** @param {string} name @param {[string, string][]} choices */
  choices(name, choices) {
    const part = this.parts.get(name);
    if (!part) return;
    const value = part.input.value;
    part.input.replaceChildren(...choices.map(([choice, label]) => el('option', { value: choice }, label)));
    part.input.value = choices.some(([known]) => known === value) ? value : choices[0]?.[0];
  }

  /** @param {string} name @param {boolean} usable */
  enable(name, usable) {
    const part = this.parts.get(name);
    if (!part) return;
    part.input.disabled = !usable;
    if (!usable && part.field.kind === 'check') part.input.checked = false;
  }

  reset() {
    for (const { field, input } of this.parts.values()) {
      if (field.kind === 'check') input.checked = field.value ?? false;
      else input.value = field.value ?? '';
    }
    this.changes();
  }

  changes() {
    sessionStorage.setItem(`options-${this.key}`, JSON.stringify(this.values));
    this.show();
    this.changed();
  }

  show() {
    const values = this.values;
    for (const { field, box } of this.parts.values()) box.hidden = Boolean(field.shown && !field.shown(values));
    this.wrong(undefined, '');
    const empty = this.fields.find((field) => field.needed && (!field.shown || field.shown(values)) && values[field.name] === '');
    if (empty) this.wrong(empty.name, t(empty.needed ?? ''));
  }

  /**
   * Shows an error at its field; false where there is none of that name.
   * @param {string | undefined} name @param {string} text
   */
  wrong(name, text) {
    for (const { input, wrong } of this.parts.values()) {
      wrong.hidden = true;
      input.removeAttribute('aria-invalid');
    }
    const part = name === undefined ? undefined : this.parts.get(name);
    if (!part) return false;
    part.wrong.textContent = text;
    part.wrong.hidden = false;
    part.input.setAttribute('aria-invalid', 'true');
    part.input.setAttribute('aria-errormessage', part.wrong.id);
    const details = part.box.closest('details');
    if (details) details.open = true;
    return true;
  }
}

/** @param {Field} field @param {string} id */
function control(field, id) {
  if (field.kind === 'choice') {
    return el('select', { id }, ...(field.choices ?? []).map(([value, label]) => el('option', { value }, label)));
  }
  if (field.kind === 'number') {
    return el('input', { id, type: 'number', min: field.min, max: field.max, step: field.step ?? 1, inputMode: 'decimal' });
  }
  return el('input', { id, type: field.kind === 'check' ? 'checkbox' : 'text', autocomplete: 'off', spellcheck: false });
}
