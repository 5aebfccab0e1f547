// @ts-check
// A tab that makes jobs: inputs, options, what it would do, and the button that starts it.

import { ApiError, call } from './api.js';
import { el, notice, say } from './dom.js';
import { Form } from './form.js';
import { Inputs } from './inputs.js';
import { bytes, duration, t } from './text.js';

/** Milliseconds without a change before a plan is asked for. */
const PAUSE = 500;

export class Work {
  /**
   * @param {string} key
   * @param {{kind: string, least: number, each?: boolean, accept: string, drop: string, fields: import('./form.js').Field[]}} spec
   */
  constructor(key, spec) {
    this.key = key;
    this.spec = spec;
    this.inputs = new Inputs(key, {
      many: spec.least > 1 || Boolean(spec.each), ordered: spec.least > 1, accept: spec.accept, drop: spec.drop, label: `choose_${key}`,
    }, () => this.changed());
    this.form = new Form(key, spec.fields, () => this.changed());
    this.plan = el('div', { className: 'card', 'aria-live': 'polite', hidden: true });
    this.button = el('button', { type: 'button', onclick: () => this.start() });
    const reset = el('button', { className: 'plain', type: 'button', onclick: () => this.form.reset() }, t('reset'));
    this.needs = el('span', { className: 'hint' });
    this.element = el('div', { role: 'tabpanel', id: `panel-${key}`, 'aria-labelledby': `tab-${key}`, tabIndex: 0 },
      el('p', { className: 'lead' }, t(`lead_${key}`)), this.inputs.element, this.form.element, this.plan,
      el('div', { className: 'row' }, this.button, reset, this.needs));
    /** @type {number | undefined} */
    this.timer = undefined;
    this.asked = 0;
    this.changed();
  }

  /** The requests that Start would make. */
  get requests() {
    const { kind, least, each } = this.spec;
    const refs = this.inputs.ready.map((item) => item.ref);
    const options = this.form.options;
    if (each) return refs.map((ref) => ({ kind, inputs: [ref], options }));
    return refs.length >= least ? [{ kind, inputs: refs, options }] : [];
  }

  changed() {
    const count = this.requests.length;
    this.button.disabled = count === 0 || this.inputs.waiting;
    this.button.textContent = count > 1 ? t('start_many', { count }) : t('start');
    this.needs.textContent = count === 0 && this.spec.least > 1 ? t('needs', { count: this.spec.least }) : '';
    clearTimeout(this.timer);
    this.asked += 1;
    if (count === 0) {
      this.plan.hidden = true;
      return;
    }
    this.timer = setTimeout(() => this.estimate(this.asked), PAUSE);
  }

  /** @param {number} asked only the newest question's answer is shown */
  async estimate(asked) {
    this.plan.hidden = false;
    this.plan.replaceChildren(el('p', { className: 'hint' }, t('planning')));
    try {
      const plan = await call('POST', '/plans', this.requests[0]);
      if (asked === this.asked) this.plan.replaceChildren(...planned(plan));
    } catch (error) {
      if (asked !== this.asked) return;
      if (error instanceof ApiError && error.code === 'too_many') {
        this.timer = setTimeout(() => this.estimate(asked), 1000);
        return;
      }
      this.plan.hidden = true;
      this.refused(/** @type {Error} */ (error));
    }
  }

  /** @param {Error} error */
  refused(error) {
    const field = error instanceof ApiError ? error.field : undefined;
    if (!this.form.wrong(field, error.message)) {
      this.plan.hidden = false;
      this.plan.replaceChildren(el('p', { className: 'wrong', role: 'alert' }, error.message));
    }
  }

  async start() {
    this.button.disabled = true;
    notice('');
    try {
      for (const request of this.requests) {
        const job = await call('POST', '/jobs', request);
        say(t('started', { name: job.label }));
      }
    } catch (error) {
      this.refused(/** @type {Error} */ (error));
    }
    this.button.disabled = this.requests.length === 0;
  }
}

/** What a plan says, for people. @param {any} plan @returns {Node[]} */
function planned(plan) {
  const facts = [
    plan.width && ['plan_size', `${plan.width}×${plan.height}`],
    plan.output_frames && ['plan_frames', plan.input_frames && plan.kind === 'video' ? `${plan.input_frames} → ${plan.output_frames}` : String(plan.output_frames)],
    plan.output_rate && ['plan_rate', plan.input_rate && plan.input_rate !== plan.output_rate ? `${rate(plan.input_rate)} → ${rate(plan.output_rate)}` : rate(plan.output_rate)],
    typeof plan.duration_s === 'number' && ['plan_length', duration(plan.duration_s)],
    typeof plan.estimated_s === 'number' && ['plan_time', duration(plan.estimated_s)],
    plan.memory_bytes && ['plan_memory', bytes(plan.memory_bytes)],
    plan.disk_bytes && ['plan_disk', bytes(plan.disk_bytes)],
  ].filter(Boolean);
  const notes = [...(plan.streams ?? []), ...(plan.notes ?? [])];
  return [
    facts.length > 0 && el('dl', { className: 'plan' }, ...facts.map(([key, value]) => el('div', {}, el('dt', {}, t(key)), el('dd', {}, value)))),
    plan.findings?.length > 0 && findings(plan.findings),
    plan.needed === false && el('p', { className: 'yes' }, t('conforms')),
    notes.length > 0 && el('ul', { className: 'notes' }, ...notes.map((/** @type {string} */ note) => el('li', {}, note))),
  ].filter(Boolean);
}

/** `30000/1001` as `29.97`. @param {string} text */
function rate(text) {
  const [above, below = '1'] = text.split('/');
  return String(Math.round((Number(above) / Number(below)) * 1000) / 1000);
}

/** @param {{what: string, found: string, wanted: string, conforms: boolean}[]} list */
function findings(list) {
  const head = ['finding', 'found', 'wanted', 'good'].map((key) => el('th', { scope: 'col' }, t(key)));
  const rows = list.map(({ what, found, wanted, conforms }) => el('tr', {},
    el('td', {}, t(`what_${what.replaceAll(' ', '_')}`, {}, what)), el('td', {}, found === 'not tagged' ? t('not_tagged') : String(found)), el('td', {}, String(wanted)),
    el('td', { className: conforms ? 'yes' : 'no' }, conforms ? `✓ ${t('yes')}` : `✗ ${t('no')}`)));
  return el('table', {}, el('thead', {}, el('tr', {}, ...head)), el('tbody', {}, ...rows));
}
