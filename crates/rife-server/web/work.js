// @ts-check
// A tab that makes jobs: inputs, options, what it would do, and the button that starts it.

import { ApiError, call } from './api.js';
import { el, notice, say } from './dom.js';
import { Form } from './form.js';
import { Inputs } from './inputs.js';
import { bytes, duration, noted, t } from './text.js';

/** Milliseconds without a change before a plan is asked for. */
const PAUSE = 500;
/** Notes that say that a job may not be what was meant. */
const ALERTS = ['nothing_new', 'rate_below'];

/** @typedef {{body: any, key: string, item: import('./inputs.js').Input | null}} Request */

export class Work {
  /**
   * @param {string} key
   * @param {{kind: string, least: number, each?: boolean, takes: 'clips' | 'pictures', accept: string, drop: string, fields: import('./form.js').Field[]}} spec
   */
  constructor(key, spec) {
    this.key = key;
    this.spec = spec;
    /** Plans and refusals by request, so that nothing is asked twice. @type {Map<string, {plan?: any, error?: Error}>} */
    this.known = new Map();
    /** Requests that were started. @type {Set<string>} */
    this.begun = new Set(JSON.parse(sessionStorage.getItem(`begun-${key}`) ?? '[]'));
    this.inputs = new Inputs(key, {
      many: spec.least > 1 || Boolean(spec.each), ordered: spec.least > 1, takes: spec.takes, accept: spec.accept, drop: spec.drop, label: `choose_${key}`,
    }, () => this.changed());
    this.form = new Form(key, spec.fields, () => this.changed());
    this.plan = el('div', { className: 'card', 'aria-live': 'polite', hidden: true });
    this.button = el('button', { type: 'button', onclick: () => this.start(this.fresh) });
    this.again = el('button', { className: 'plain', type: 'button', onclick: () => this.start(this.requests) }, t('run_again'));
    const reset = el('button', { className: 'plain', type: 'button', onclick: () => this.form.reset() }, t('reset'));
    this.needs = el('span', { className: 'hint' });
    this.element = el('div', { role: 'tabpanel', id: `panel-${key}`, 'aria-labelledby': `tab-${key}`, tabIndex: 0 },
      el('p', { className: 'lead' }, t(`lead_${key}`)), this.inputs.element, this.form.element, this.plan,
      el('div', { className: 'row' }, this.button, this.again, reset, this.needs));
    /** @type {number | undefined} */
    this.timer = undefined;
    this.asked = 0;
    this.planning = Promise.resolve();
    this.starting = false;
    this.changed();
  }

  /** The requests that the inputs and options make, each with its input where it has one of its own. @returns {Request[]} */
  get all() {
    const { kind, least, each } = this.spec;
    const { ready } = this.inputs;
    const options = this.form.options;
    const made = (/** @type {any[]} */ inputs, /** @type {any} */ item) => {
      const body = { kind, inputs, options };
      return { body, key: JSON.stringify(body), item };
    };
    if (each) return ready.map((item) => made([item.ref], item));
    if (ready.length < least || this.inputs.items.length > ready.length) return [];
    return [made(ready.map((item) => item.ref), null)];
  }

  /** Those that nothing speaks against. */
  get requests() {
    return this.form.missing ? [] : this.all.filter(({ key }) => !refusal(this.known.get(key)?.error));
  }

  /** Those that have not been started yet. */
  get fresh() {
    return this.requests.filter(({ key }) => !this.begun.has(key));
  }

  changed() {
    clearTimeout(this.timer);
    this.asked += 1;
    this.show();
    if (this.all.length === 0 || this.form.missing) {
      this.plan.hidden = true;
      return;
    }
    this.timer = setTimeout(() => { this.planning = this.estimate(this.asked); }, PAUSE);
  }

  /** The button, and why it is as it is. */
  show() {
    const [count, all] = [this.fresh.length, this.requests.length];
    const begun = all > 0 && count === 0;
    this.button.disabled = count === 0 || this.inputs.waiting || this.starting;
    this.button.textContent = count > 1 ? t('start_many', { count }) : t('start');
    this.again.hidden = !begun;
    const { items, unusable } = this.inputs;
    const hints = [
      unusable > 0 && t(this.spec.each ? 'not_started' : 'in_the_way', { bad: unusable, count: items.length }),
      items.length < this.spec.least && this.spec.least > 1 && t('needs', { count: this.spec.least }),
      begun && t('begun'),
    ];
    this.needs.textContent = hints.filter(Boolean).join(' ');
  }

  /** Plans every request, one after the other; what is refused is marked. @param {number} asked only the newest question is gone on with */
  async estimate(asked) {
    this.plan.hidden = false;
    for (const request of this.all) {
      if (this.known.has(request.key)) continue;
      if (this.known.size === 0 || this.all.length === 1) this.plan.replaceChildren(el('p', { className: 'hint' }, t('planning')));
      try {
        this.known.set(request.key, { plan: await call('POST', '/plans', request.body) });
      } catch (error) {
        if (error instanceof ApiError && error.code === 'too_many') {
          if (asked === this.asked) this.timer = setTimeout(() => this.estimate(asked), 1000);
          return;
        }
        if (refusal(error)) this.known.set(request.key, { error: /** @type {Error} */ (error) });
        else return void (asked === this.asked && this.refused(/** @type {Error} */ (error)));
      }
      if (asked !== this.asked) return;
      this.told();
    }
    this.told();
  }

  /** What is known of the requests as they are: the first plan, the sum of all, marks on rows. */
  told() {
    const found = this.all.map((request) => ({ ...request, ...this.known.get(request.key) }));
    let marked = false;
    for (const { item, error } of found) {
      if (!item) continue;
      const refused = error instanceof ApiError && error.code === 'bad_input' ? error.message : undefined;
      marked ||= item.refused !== refused;
      item.refused = refused;
    }
    if (marked) this.inputs.show();
    const plans = found.filter(({ plan }) => plan).map(({ plan }) => plan);
    const wrong = found.find(({ error, item }) => error && !(item?.refused && found.length > 1));
    this.plan.hidden = plans.length === 0;
    this.plan.replaceChildren(...(plans.length > 0 ? planned(plans[0]) : []), ...(plans.length > 1 ? [total(plans)] : []));
    if (wrong?.error) this.refused(wrong.error);
    this.show();
  }

  /** @param {Error} error */
  refused(error) {
    const field = error instanceof ApiError ? error.field : undefined;
    if (!this.form.wrong(field, error.message)) {
      this.plan.hidden = false;
      this.plan.replaceChildren(el('p', { className: 'wrong', role: 'alert' }, error.message));
    }
  }

  /** @param {Request[]} wanted */
  async start(wanted) {
    this.starting = true;
    this.show();
    notice('');
    // What is refused is known before anything is started.
    if (this.spec.each && wanted.length > 1) {
      this.needs.textContent = t('checking');
      clearTimeout(this.timer);
      await this.planning;
      await this.estimate(this.asked);
    }
    try {
      for (const { key, body } of wanted) {
        if (refusal(this.known.get(key)?.error)) continue;
        const job = await call('POST', '/jobs', body);
        this.begun.add(key);
        say(t('started', { name: job.label }));
      }
    } catch (error) {
      this.refused(/** @type {Error} */ (error));
    }
    sessionStorage.setItem(`begun-${this.key}`, JSON.stringify([...this.begun]));
    this.starting = false;
    this.show();
  }
}

/** Whether it says that the request cannot be done, and not that the server cannot now. @param {unknown} error */
function refusal(error) {
  return error instanceof ApiError && ['bad_input', 'invalid_option', 'not_found'].includes(error.code);
}

/** What several plans come to. @param {any[]} plans */
function total(plans) {
  const sum = (/** @type {string} */ key) => plans.reduce((all, plan) => all + (plan[key] ?? 0), 0);
  return el('p', { className: 'hint' }, t('plan_total', { count: plans.length, time: duration(sum('estimated_s')), length: duration(sum('duration_s')) }));
}

/** What a plan says, for people. @param {any} plan @returns {Node[]} */
function planned(plan) {
  const facts = [
    plan.width && ['plan_size', `${plan.width}×${plan.height}`],
    plan.output_frames && ['plan_frames', plan.input_frames && plan.kind === 'video' ? `${plan.input_frames} → ${plan.output_frames}` : String(plan.output_frames)],
    plan.output_rate && ['plan_rate', plan.input_rate && plan.input_rate !== plan.output_rate ? `${rate(plan.input_rate)} → ${rate(plan.output_rate)}` : rate(plan.output_rate)],
    typeof plan.duration_s === 'number' && ['plan_length', longer(plan) ? `${duration(plan.input_duration_s)} → ${duration(plan.duration_s)}` : duration(plan.duration_s)],
    typeof plan.estimated_s === 'number' && ['plan_time', duration(plan.estimated_s)],
    plan.memory_bytes && ['plan_memory', bytes(plan.memory_bytes)],
    plan.disk_bytes && ['plan_disk', bytes(plan.disk_bytes)],
  ].filter(Boolean);
  const notes = [...(plan.streams ?? []), ...(plan.notes ?? [])];
  return [
    facts.length > 0 && el('dl', { className: 'plan' }, ...facts.map(([key, value]) => el('div', {}, el('dt', {}, t(key)), el('dd', {}, value)))),
    plan.findings?.length > 0 && findings(plan.findings),
    plan.needed === false && el('p', { className: 'yes' }, t('conforms')),
    notes.length > 0 && el('ul', { className: 'notes' }, ...notes.map((/** @type {any} */ note) => el('li', { className: ALERTS.includes(note.code) ? 'alert' : '' }, noted(note)))),
  ].filter(Boolean);
}

/** Whether time is stretched. @param {any} plan */
function longer({ input_duration_s: from, duration_s: to }) {
  return typeof from === 'number' && Math.abs(to - from) > 0.001 * from;
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
  return el('div', { className: 'wide', tabIndex: 0, role: 'region', 'aria-label': t('findings') }, el('table', {}, el('thead', {}, el('tr', {}, ...head)), el('tbody', {}, ...rows)));
}
