// @ts-check
// Bar of the whole queue: jobs done, time left, pause and resume; and the estimated times that it is computed from.

import { call } from './api.js';
import { el, notice } from './dom.js';
import { duration, t } from './text.js';

/** What a new job waits for: the number of active jobs, and the seconds that they take, 0 where unknown; and ids of ended jobs. */
export const queue = { count: 0, seconds: 0, /** @type {Set<string>} */ ended: new Set() };
/** Number of estimates that are kept. */
const KEPT = 200;

/** Ids of previews, which this browser has started. @type {Set<string>} */
export const previews = new Set(JSON.parse(localStorage.getItem('previews') ?? '[]'));

/** Keeps that a job is a preview. @param {string} id */
export function rememberPreview(id) {
  previews.add(id);
  localStorage.setItem('previews', JSON.stringify([...previews].slice(-KEPT)));
}

/** Estimated seconds by job id. @type {Map<string, number>} */
const estimates = new Map(JSON.parse(localStorage.getItem('estimates') ?? '[]'));

/** Keeps the estimated time of a job that was started. @param {string} id @param {number | undefined | null} seconds */
export function rememberEstimate(id, seconds) {
  if (typeof seconds !== 'number') return;
  estimates.set(id, seconds);
  localStorage.setItem('estimates', JSON.stringify([...estimates].slice(-KEPT)));
}

/** Returns the seconds that active jobs still take; 0 where it is unknown. @param {any[]} active @param {any[]} ended */
function secondsLeft(active, ended) {
  const known = [...active.map(({ id }) => estimates.get(id)), ...ended.map(({ summary }) => summary?.elapsed_s)].filter((one) => typeof one === 'number');
  const usual = known.length > 0 ? known.reduce((sum, one) => sum + one, 0) / known.length : null;
  const left = active.map((job) => job.progress?.eta_s ?? estimates.get(job.id) ?? usual);
  return left.includes(null) ? 0 : left.reduce((sum, one) => sum + one, 0);
}

/** Bar of the whole queue. */
export class QueueBar {
  /** @param {() => void} changed called when the queue was paused or goes on */
  constructor(changed) {
    this.changed = changed;
    /** Ids of the jobs since the queue was last empty. @type {Set<string>} */
    this.batch = new Set();
    this.paused = false;
    /** Number of times that it was told whether it is paused. */
    this.told = 0;
    this.bar = el('progress', { max: 1, value: 0, 'aria-label': t('queue') });
    this.text = el('span', { className: 'hint grow' });
    this.button = el('button', { className: 'plain', type: 'button', onclick: () => this.toggle() });
    this.element = el('section', { className: 'queuebar', 'aria-label': t('queue'), hidden: true }, this.bar, el('div', { className: 'row' }, this.text, this.button));
  }

  /** Loads whether the queue is paused. */
  async load() {
    const { told } = this;
    const found = await call('GET', '/queue').catch(() => null);
    // An event may have come meanwhile.
    if (found && told === this.told) this.setPaused(found.paused);
  }

  /** Pauses or resumes the queue. */
  async toggle() {
    await call('PUT', '/queue', { paused: !this.paused }).then(({ paused }) => this.setPaused(paused), (error) => notice(error.message));
  }

  /** Shows whether the queue is paused. @param {boolean} paused */
  setPaused(paused) {
    const changed = this.paused !== paused;
    this.paused = paused;
    this.told += 1;
    document.body.classList.toggle('paused', paused);
    this.show(this.jobs ?? []);
    if (changed) this.changed();
  }

  /** Shows the state of all jobs. @param {any[]} jobs */
  show(jobs) {
    this.jobs = jobs;
    const active = jobs.filter(({ state }) => ['queued', 'running'].includes(state));
    const seconds = secondsLeft(active, jobs.filter(({ state, kind }) => state === 'done' && kind === active[0]?.kind));
    Object.assign(queue, { count: active.length, seconds, ended: new Set(jobs.filter((job) => !active.includes(job)).map(({ id }) => id)) });
    if (active.length === 0) this.batch.clear();
    for (const { id } of active) if (!previews.has(id)) this.batch.add(id);
    this.element.hidden = active.length === 0 && !this.paused;
    const counted = active.filter(({ id }) => this.batch.has(id));
    const done = this.batch.size - counted.length;
    const parts = counted.reduce((sum, { progress }) => sum + (progress?.total ? progress.done / progress.total : 0), 0);
    this.bar.value = this.batch.size > 0 ? (done + parts) / this.batch.size : 0;
    this.text.textContent = [
      t('queue_done', { done, count: this.batch.size }),
      this.paused ? t('queue_paused') : seconds > 0 ? t('left', { time: duration(seconds) }) : '',
    ].filter(Boolean).join(' · ');
    this.button.textContent = t(this.paused ? 'queue_resume' : 'queue_pause');
  }
}
