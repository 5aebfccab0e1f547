// @ts-check
// Tab that creates jobs: inputs, options, plan, and the start button.

import { ApiError, call } from './api.js';
import { el, notice, say } from './dom.js';
import { Form } from './form.js';
import { Inputs } from './inputs.js';
import { checkQuality } from './report.js';
import { queue, rememberEstimate, rememberPreview } from './queuebar.js';
import { report as reportFields } from './options.js';
import { PREVIEW_S, Part } from './part.js';
import { rateOf } from './position.js';
import { presets } from './presets.js';
import { compare } from './results.js';
import { estimateSize } from './sizes.js';
import { Storyboard } from './storyboard.js';
import { bytes, duration, errorText, noteText, t } from './text.js';

/** Milliseconds without a change before a plan is requested. */
const PLAN_DELAY_MS = 500;
/** Milliseconds until a request is tried again that the server was too busy for. */
const BUSY_MS = 1000;
/** Codes of notes on plans that raise no rate: such a job starts by a button of its own only. */
const ALERTS = ['nothing_new', 'rate_same', 'rate_below'];

/** @typedef {{body: any, key: string, item: import('./inputs.js').Input | null}} Request */

/** Tab that creates jobs of one kind. */
export class Work {
  /**
   * @param {string} key
   * @param {{kind: string, min: number, each?: boolean, takes: 'clips' | 'pictures', accept: string, drop: string, fields: import('./form.js').Field[]}} spec
   */
  constructor(key, spec) {
    this.key = key;
    this.spec = spec;
    /** Plans and errors by request key, so that no request is planned twice. @type {Map<string, {plan?: any, error?: Error}>} */
    this.responses = new Map();
    /** Plans that are being made, by request key. @type {Map<string, Promise<void>>} */
    this.asked = new Map();
    /** Ids of the jobs of requests that were started, by key. @type {Map<string, string>} */
    this.started = new Map(JSON.parse(sessionStorage.getItem(`started-${key}`) ?? '[]'));
    this.inputs = new Inputs(key, {
      many: spec.min > 1 || Boolean(spec.each), ordered: spec.min > 1, takes: spec.takes, accept: spec.accept, drop: spec.drop, label: `choose_${key}`,
    }, () => this.changed());
    this.form = new Form(key, spec.fields, () => this.changed());
    this.part = spec.each ? new Part(this.form) : null;
    this.board = spec.min > 1 ? new Storyboard() : null;
    this.presets = spec.each ? presets(this.form) : null;
    this.plan = el('div', { className: 'card', 'aria-live': 'polite', hidden: true });
    this.button = el('button', { type: 'button', onclick: () => this.start(this.unstarted) });
    this.anyway = el('button', { className: 'plain', type: 'button', onclick: () => this.start(this.pointless, true) }, t('start_anyway'));
    this.again = el('button', { className: 'plain', type: 'button', onclick: () => this.start(this.requests, true) }, t('run_again'));
    this.needs = el('span', { className: 'hint' });
    this.jump = el('button', { className: 'link narrow', type: 'button', onclick: () => document.getElementById('jobs-title')?.focus() }, t('jobs'));
    this.waiting = el('p', { className: 'hint', hidden: true });
    document.addEventListener('job', () => this.showQueue());
    // Finished jobs tell the sizes of files.
    document.addEventListener('jobs', () => {
      if (!this.plan.hidden) this.showPlans();
      this.showQueue();
    });
    this.trial = el('button', { className: 'plain', type: 'button', hidden: true, onclick: () => this.preview() }, t('preview_here', { n: PREVIEW_S }));
    this.report = el('button', { className: 'plain', type: 'button', hidden: true, onclick: () => this.checkQuality() }, t('check_quality'));
    this.part?.line.append(this.report);
    this.element = el('div', { role: 'tabpanel', id: `panel-${key}`, 'aria-labelledby': `tab-${key}`, tabIndex: 0 },
      el('p', { className: 'lead' }, t(`lead_${key}`)), this.inputs.element, this.board?.element, this.part?.element, this.presets?.element, this.form.element, this.plan,
      el('div', { className: 'row actions' }, this.button, this.anyway, this.again, this.trial, this.needs, this.jump));
    /** @type {number | undefined} */
    this.timer = undefined;
    this.generation = 0;
    this.planning = Promise.resolve();
    this.starting = false;
    this.changed();
  }

  /** All requests for the current inputs and options; `item` is the input of a request with a single one. @returns {Request[]} */
  get all() {
    const { kind, min, each } = this.spec;
    const { ready } = this.inputs;
    const options = this.form.options;
    const made = (/** @type {any[]} */ inputs, /** @type {any} */ item) => {
      const body = { kind, inputs, options };
      return { body, key: JSON.stringify(body), item };
    };
    if (each) return ready.map((item) => made([item.ref], item));
    if (ready.length < min || this.inputs.items.length > ready.length) return [];
    return [made(ready.map((item) => item.ref), null)];
  }

  /** Requests that were not refused. */
  get requests() {
    return this.form.missing ? [] : this.all.filter(({ key }) => !isRefusal(this.responses.get(key)?.error));
  }

  /** Requests that have not been started yet, and raise the rate. */
  get unstarted() {
    return this.requests.filter((request) => !this.started.has(request.key) && !this.alert(request));
  }

  /** Requests that have not been started yet, and do not raise the rate. */
  get pointless() {
    return this.requests.filter((request) => !this.started.has(request.key) && this.alert(request));
  }

  /** Returns why a request raises no rate, as far as it is planned; undefined for one that does, or that cuts out a part. @param {Request} request */
  alert({ key, body }) {
    const note = this.responses.get(key)?.plan?.notes?.find((/** @type {any} */ { code }) => ALERTS.includes(code));
    return note && !('start' in body.options) && !('end' in body.options) ? noteText(note) : undefined;
  }

  /** Whether all requests were started. */
  get begun() {
    return this.requests.length > 0 && this.unstarted.length === 0 && this.pointless.length === 0;
  }

  /** Updates the buttons, and plans the requests after a pause. */
  changed() {
    clearTimeout(this.timer);
    this.generation += 1;
    this.show();
    if (this.all.length === 0 || this.form.missing) {
      this.plan.hidden = true;
      return;
    }
    this.timer = setTimeout(() => { this.planning = this.estimate(this.generation); }, PLAN_DELAY_MS);
  }

  /** Updates the buttons and the hint next to them. */
  show() {
    const { items: listed, ready } = this.inputs;
    this.presets?.mark();
    this.board?.show(ready.length === listed.length ? ready : [], this.form.values);
    this.showSeconds();
    this.part?.show(listed.length === 1 && ready.length === 1 ? ready[0] : null);
    this.report.hidden = this.trial.hidden = !this.part || listed.length !== 1 || ready.length !== 1 || this.form.missing;
    const count = this.unstarted.length;
    const { pointless } = this;
    const { begun } = this;
    this.anyway.hidden = pointless.length === 0;
    this.anyway.disabled = this.inputs.waiting || this.starting;
    this.button.disabled = count === 0 || this.inputs.waiting || this.starting;
    this.button.textContent = count > 1 ? t('start_many', { count }) : t('start');
    this.again.hidden = this.jump.hidden = !begun;
    const { items, unusable } = this.inputs;
    const hints = [
      this.starting && t('checking'),
      unusable > 0 && t(this.spec.each ? 'not_started' : 'in_the_way', { bad: unusable, count: items.length }),
      items.length < this.spec.min && this.spec.min > 1 && t('needs', { count: this.spec.min }),
      begun && t(this.requests.every(({ key }) => queue.ended.has(this.started.get(key) ?? '')) ? 'begun_done' : 'begun'),
      pointless.length > 0 && (pointless.length > 1 || count > 0 ? t('not_raised', { count: pointless.length }) : this.alert(pointless[0])),
    ];
    this.needs.textContent = hints.filter(Boolean).join(' ');
    if (begun) this.waiting.hidden = true;
  }

  /** Shows at each number of passes how long a transition becomes, and what pictures become in all. */
  showSeconds() {
    if (!this.board) return;
    const { items } = this.inputs;
    const { fps: wanted, loop } = this.form.values;
    const fps = rateOf(String(wanted || items[0]?.probe?.fps || ''));
    for (const option of this.form.controls.get('passes')?.input.options ?? []) {
      const frames = 2 ** Number(option.value) - 1;
      const all = (items.length - (loop ? 0 : 1)) * (frames + 1) + (loop ? 0 : 1);
      option.textContent = [
        fps > 0 ? t('o_passes_each', { n: option.value, frames, time: duration(frames / fps) }) : t('o_passes_between', { n: option.value, frames }),
        fps > 0 && items.length > 1 && this.spec.takes === 'pictures' && t('o_passes_total', { time: duration(all / fps) }),
      ].filter(Boolean).join(' · ');
    }
  }

  /** Plans all requests one after the other, and marks refused inputs. @param {number} generation stops when inputs or options have changed since */
  async estimate(generation) {
    this.plan.hidden = false;
    for (const request of this.all) {
      if (this.responses.has(request.key)) continue;
      if (this.responses.size === 0 || this.all.length === 1) this.plan.replaceChildren(el('p', { className: 'hint' }, t('planning')));
      try {
        await this.ask(request);
      } catch (error) {
        return void (generation === this.generation && this.showError(/** @type {Error} */ (error)));
      }
      if (generation !== this.generation) return;
      this.showPlans();
    }
    this.showPlans();
  }

  /** Plans a request once. @param {Request} request */
  ask(request) {
    const { key } = request;
    const asked = this.asked.get(key) ?? this.request(request).finally(() => this.asked.delete(key));
    this.asked.set(key, asked);
    return asked;
  }

  /** Requests a plan, and keeps it or why it is refused; tries again while the server is too busy. @param {Request} request */
  async request({ key, body }) {
    while (!this.responses.has(key)) {
      try {
        this.responses.set(key, { plan: await call('POST', '/plans', body) });
      } catch (error) {
        if (isRefusal(error)) this.responses.set(key, { error: /** @type {Error} */ (error) });
        else if (!(error instanceof ApiError) || error.code !== 'too_many') throw error;
        else await new Promise((resolve) => setTimeout(resolve, BUSY_MS));
      }
    }
  }

  /** Shows what a new job waits for, or how the jobs that were started stand. */
  showQueue() {
    const { count, seconds } = queue;
    if (this.begun) this.show();
    this.waiting.hidden = count === 0 || this.begun;
    this.waiting.textContent = seconds > 0 ? t('plan_queue_time', { count, time: duration(seconds) }) : t('plan_queue', { count });
  }

  /** Shows the first plan, the totals of all, and refused inputs. */
  showPlans() {
    const found = this.all.map((request) => ({ ...request, ...this.responses.get(request.key) }));
    let marked = false;
    for (const request of found) {
      const { item, error } = request;
      if (!item) continue;
      const refused = error instanceof ApiError && error.code === 'bad_input' ? error.message : undefined;
      const idle = found.length > 1 ? this.alert(request) : undefined;
      marked ||= item.refused !== refused || item.idle !== idle;
      [item.refused, item.idle] = [refused, idle];
    }
    if (marked) this.inputs.show();
    const plans = found.filter(({ plan }) => plan).map(({ plan, item }) => ({ ...plan, bytes: item && estimateSize(item, this.form.options, plan) }));
    const wrong = found.find(({ error, item }) => error && !(item?.refused && found.length > 1));
    this.plan.hidden = plans.length === 0;
    this.plan.replaceChildren(...(plans.length > 0 ? planNodes(plans[0]) : []), ...(plans.length > 1 ? [total(plans)] : []), plans.length > 0 ? this.waiting : '');
    this.showQueue();
    if (wrong?.error) this.showError(wrong.error);
    this.show();
  }

  /** Shows an error at its field, or instead of the plan. @param {Error} error */
  showError(error) {
    const field = error instanceof ApiError ? error.field : undefined;
    if (!this.form.showError(field, error.message)) {
      this.plan.hidden = false;
      this.plan.replaceChildren(el('p', { className: 'wrong', role: 'alert' }, error.message));
    }
  }

  /** Converts a few seconds from the shown frame on, and compares the result with the source. */
  async preview() {
    const [request] = this.all;
    if (!this.part || !request) return;
    this.trial.disabled = true;
    this.trial.textContent = t('preview_made');
    const body = { ...request.body, options: { ...request.body.options, ...this.part.preview } };
    try {
      const { id } = await call('POST', '/jobs', body);
      rememberPreview(id);
      document.dispatchEvent(new CustomEvent('preview', { detail: id }));
      const job = await ended(id);
      if (job.state === 'done') await compare(job, job.files[0]);
      else if (job.error) notice(errorText(job.error));
    } catch (error) {
      this.showError(/** @type {Error} */ (error));
    }
    this.trial.disabled = false;
    this.trial.textContent = t('preview_here', { n: PREVIEW_S });
  }

  /** Starts a quality report on the clip, with the options of the network. */
  checkQuality() {
    const names = reportFields().map(({ name }) => name);
    const options = Object.fromEntries(Object.entries(this.form.options).filter(([name]) => names.includes(name)));
    return checkQuality(this.inputs.ready[0].ref, options);
  }

  /** Creates the jobs of requests. @param {Request[]} wanted @param {boolean} [anyway] whether also those that raise no rate */
  async start(wanted, anyway) {
    this.starting = true;
    this.show();
    notice('');
    try {
      for (const request of wanted) {
        const { key, body } = request;
        // Planned first, so that it is known whether it is refused or raises no rate.
        if (this.spec.each) await this.ask(request);
        if (isRefusal(this.responses.get(key)?.error) || (!anyway && this.alert(request))) continue;
        const job = await call('POST', '/jobs', body);
        this.started.set(key, job.id);
        rememberEstimate(job.id, this.responses.get(key)?.plan?.estimated_s);
        say(t('started', { name: job.label }));
        document.dispatchEvent(new CustomEvent('started', { detail: job.id }));
        this.show();
      }
    } catch (error) {
      this.showError(/** @type {Error} */ (error));
    }
    sessionStorage.setItem(`started-${this.key}`, JSON.stringify([...this.started]));
    this.starting = false;
    this.show();
  }
}

/** Waits for the end of a job, by the events that the list of jobs passes on. @param {string} id @returns {Promise<any>} */
function ended(id) {
  return new Promise((resolve) => {
    const look = (/** @type {any} */ job) => {
      if (!['done', 'failed', 'cancelled', 'deleted'].includes(job.state)) return;
      document.removeEventListener('job', listener);
      resolve(job);
    };
    const listener = (/** @type {any} */ { detail }) => detail.id === id && look(detail);
    document.addEventListener('job', listener);
    // It may have ended before the listener was there.
    call('GET', `/jobs/${id}`).then(look, () => {});
  });
}

/** Reports whether an error refuses the request for good, unlike a busy server. @param {unknown} error */
function isRefusal(error) {
  return error instanceof ApiError && ['bad_input', 'invalid_option', 'not_found'].includes(error.code);
}

/** Creates the line with the totals of several plans. @param {any[]} plans */
function total(plans) {
  const sum = (/** @type {string} */ key) => plans.reduce((all, plan) => all + (plan[key] ?? 0), 0);
  const size = plans.every((plan) => plan.bytes) ? sum('bytes') : 0;
  return el('p', { className: 'hint' }, [
    t('plan_total', { count: plans.length, time: duration(sum('estimated_s')), length: duration(sum('duration_s')) }),
    t('plan_total_memory', { memory: bytes(Math.max(...plans.map((plan) => plan.memory_bytes ?? 0))) }),
    size > 0 ? t('plan_total_bytes', { bytes: bytes(size) }) : '',
  ].filter(Boolean).join(' '));
}

/** Creates the elements that show a plan. @param {any} plan @returns {Node[]} */
function planNodes(plan) {
  const facts = [
    plan.width && ['plan_size', `${plan.width}×${plan.height}`],
    plan.output_frames && ['plan_frames', plan.input_frames && plan.kind === 'video' ? `${plan.input_frames} → ${plan.output_frames}` : String(plan.output_frames)],
    plan.output_rate && ['plan_rate', plan.input_rate && plan.input_rate !== plan.output_rate ? `${rate(plan.input_rate)} → ${rate(plan.output_rate)}` : rate(plan.output_rate)],
    typeof plan.duration_s === 'number' && ['plan_length', isStretched(plan) ? `${duration(plan.input_duration_s)} → ${duration(plan.duration_s)}` : duration(plan.duration_s)],
    typeof plan.estimated_s === 'number' && ['plan_time', duration(plan.estimated_s)],
    plan.memory_bytes && ['plan_memory', bytes(plan.memory_bytes)],
    plan.disk_bytes && ['plan_disk', bytes(plan.disk_bytes)],
    plan.bytes && ['plan_bytes', `≈ ${bytes(plan.bytes)}`],
  ].filter(Boolean);
  const notes = [...(plan.streams ?? []), ...(plan.notes ?? [])];
  return [
    facts.length > 0 && el('dl', { className: 'plan' }, ...facts.map(([key, value]) => el('div', {}, el('dt', {}, t(key)), el('dd', {}, value)))),
    plan.findings?.length > 0 && findings(plan.findings),
    plan.needed === false && el('p', { className: 'yes' }, t('conforms')),
    notes.length > 0 && el('ul', { className: 'notes' }, ...notes.map((/** @type {any} */ note) => el('li', { className: ALERTS.includes(note.code) ? 'alert' : '' }, noteText(note)))),
  ].filter(Boolean);
}

/** Reports whether the duration changes. @param {any} plan */
function isStretched({ input_duration_s: from, duration_s: to }) {
  return typeof from === 'number' && Math.abs(to - from) > 0.001 * from;
}

/** Formats a rate such as `30000/1001` as `29.97`. @param {string} text */
function rate(text) {
  const [above, below = '1'] = text.split('/');
  return String(Math.round((Number(above) / Number(below)) * 1000) / 1000);
}

/** Creates the table of a re-encoding's findings. @param {{what: string, found: string, wanted: string, conforms: boolean}[]} list */
function findings(list) {
  const head = ['finding', 'found', 'wanted', 'good'].map((key) => el('th', { scope: 'col' }, t(key)));
  const rows = list.map(({ what, found, wanted, conforms }) => el('tr', {},
    el('td', {}, t(`what_${what.replaceAll(' ', '_')}`, {}, what)), el('td', {}, found === 'not tagged' ? t('not_tagged') : String(found)), el('td', {}, String(wanted)),
    el('td', { className: conforms ? 'yes' : 'no' }, conforms ? `✓ ${t('yes')}` : `✗ ${t('no')}`)));
  return el('div', { className: 'wide', tabIndex: 0, role: 'region', 'aria-label': t('findings') }, el('table', {}, el('thead', {}, el('tr', {}, ...head)), el('tbody', {}, ...rows)));
}
