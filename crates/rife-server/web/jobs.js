// @ts-check
// List of jobs: loaded from the server and updated by its events.

import { call, listen, url } from './api.js';
import { connection, el, notice, say } from './dom.js';
import { checked, results } from './results.js';
import { bytes, duration, t, errorText } from './text.js';

const ENDED = ['done', 'failed', 'cancelled'];
/** Milliseconds between two previews of one job. */
const PREVIEW = 800;
/** Milliseconds in which a deletion can be undone. */
const UNDO = 10_000;

/** List of jobs. */
export class Jobs {
  /** @param {(tab: string, input: import('./inputs.js').Input) => void} use */
  constructor(use) {
    this.use = use;
    this.list = /** @type {HTMLElement} */ (document.getElementById('jobs'));
    this.more = /** @type {HTMLButtonElement} */ (document.getElementById('more'));
    this.more.addEventListener('click', () => this.loadOlder());
    /** @type {Map<string, {job: any, card: HTMLElement, shown: number}>} */
    this.known = new Map();
    /** @type {string | null} */
    this.cursor = null;
    this.up = true;
    /** Deletions that can still be undone. @type {Map<string, number>} */
    this.deletions = new Map();
    // Leaving the page carries out the deletions.
    addEventListener('pagehide', () => {
      for (const id of this.deletions.keys()) fetch(url(`/jobs/${id}`), { method: 'DELETE', keepalive: true });
    });
  }

  /** Loads the newest jobs and subscribes to events. */
  async begin() {
    await this.loadOlder().catch(() => { this.up = false; });
    listen((type, data) => this.onEvent(type, data), (up) => this.onConnection(up));
  }

  /** Loads the next page of older jobs. */
  async loadOlder() {
    const page = await call('GET', `/jobs?limit=20${this.cursor ? `&cursor=${encodeURIComponent(this.cursor)}` : ''}`);
    for (const job of page.items) this.upsert(job, true);
    this.cursor = page.next;
    this.more.hidden = !page.next;
    this.updateEmpty();
  }

  /** Reloads the newest jobs when the server can be reached again. @param {boolean} up */
  async onConnection(up) {
    connection(up);
    if (up === this.up) return;
    this.up = up;
    if (!up) return;
    // Jobs may have ended or been deleted meanwhile.
    const page = await call('GET', '/jobs?limit=50').catch(() => null);
    if (!page) return;
    for (const job of page.items.toReversed()) this.upsert(job, false);
    const listed = new Set(page.items.map((/** @type {any} */ job) => job.id));
    const oldest = page.next ? page.items.at(-1).created_at : '';
    for (const [id, { job }] of this.known) if (!listed.has(id) && job.created_at >= oldest) this.removeCard(id);
  }

  /** Removes the card of a deleted job. @param {string} id */
  removeCard(id) {
    const known = this.known.get(id);
    if (!known) return;
    clearTimeout(this.deletions.get(id));
    this.deletions.delete(id);
    const held = known.card.contains(document.activeElement);
    known.card.remove();
    this.known.delete(id);
    // The focused button was removed.
    if (held) document.getElementById('jobs-title')?.focus();
    this.updateEmpty();
  }

  /** Replaces a card by an undo button, and deletes the job after UNDO milliseconds. @param {string} id */
  scheduleDeletion(id) {
    this.deletions.set(id, setTimeout(async () => {
      this.deletions.delete(id);
      await call('DELETE', `/jobs/${id}`).catch((error) => {
        notice(error.message);
        this.undoDeletion(id);
      });
    }, UNDO));
    this.redraw(id);
  }

  /** Cancels a scheduled deletion. @param {string} id */
  undoDeletion(id) {
    clearTimeout(this.deletions.get(id));
    this.deletions.delete(id);
    this.redraw(id);
  }

  /** Redraws the card of a job. @param {string} id */
  redraw(id) {
    const known = this.known.get(id);
    if (known) this.upsert(known.job, false);
  }

  /** Updates the positions of queued jobs. @param {string[]} ids of the queued jobs in order */
  updateQueue(ids) {
    for (const [id, { job, card }] of this.known) {
      if (job.state !== 'queued') continue;
      const at = ids.indexOf(id);
      job.position = at < 0 ? null : at + 1;
      const line = card.querySelector('.about');
      if (line) line.textContent = about(job);
    }
  }

  /** Handles an event of the server. @param {string} type @param {any} data */
  onEvent(type, data) {
    const known = this.known.get(data.id);
    if (type === 'deleted') this.removeCard(data.id);
    else if (type === 'queue') this.updateQueue(data.jobs);
    else if (type === 'progress' && known) {
      known.job.progress = data.progress;
      this.updateProgress(known);
    } else if (type === 'job') {
      const ended = known && !ENDED.includes(known.job.state) && ENDED.includes(data.state);
      this.upsert(data, false);
      if (ended && data.state === 'done') say(t('finished', { name: data.label }));
      if (ended && data.state === 'failed') say(t('failed', { name: data.label, text: data.error ? errorText(data.error) : '' }));
    }
  }

  /** Adds or replaces the card of a job, keeping the focus. @param {any} job @param {boolean} older whether to append instead of prepend */
  upsert(job, older) {
    const known = this.known.get(job.id);
    const card = this.card(job);
    const held = known?.card.contains(document.activeElement) ? document.activeElement : null;
    if (known) known.card.replaceWith(card);
    else if (older) this.list.append(card);
    else this.list.prepend(card);
    const entry = { job, card, shown: known?.shown ?? 0 };
    this.known.set(job.id, entry);
    this.updateEmpty();
    this.updateProgress(entry);
    // Keeps the focus on the same button of the new card.
    const again = held && (card.querySelector(`[data-act="${held.getAttribute('data-act')}"]`) ?? card.querySelector('button, a, select'));
    if (again) /** @type {HTMLElement} */ (again).focus();
  }

  /** Shows a text while there are no jobs. */
  updateEmpty() {
    const empty = this.list.querySelector('.empty');
    if (this.known.size === 0 && !empty) this.list.append(el('p', { className: 'empty' }, t('no_jobs')));
    if (this.known.size > 0) empty?.remove();
  }

  /** Creates the card of a job. @param {any} job */
  card(job) {
    const { state } = job;
    if (this.deletions.has(job.id)) return this.undoCard(job);
    const act = (/** @type {string} */ key, /** @type {string} */ method, /** @type {string} */ path) =>
      el('button', { className: 'plain', type: 'button', 'data-act': key, onclick: async (/** @type {Event} */ event) => {
        const button = /** @type {HTMLButtonElement} */ (event.target);
        button.disabled = true;
        await call(method, path).catch((error) => notice(error.message));
        button.disabled = false;
      } }, t(key));
    const active = !ENDED.includes(state);
    return el('article', { className: 'job', 'data-id': job.id, 'data-state': state, 'aria-label': `${job.label}: ${t(`state_${state}`)}` },
      el('header', {}, el('h3', { className: 'name', title: job.label }, job.label), el('span', { className: 'state' }, t(`state_${state}`))),
      el('div', { className: 'row' },
        el('p', { className: 'hint grow about' }, about(job)),
        active && act('cancel', 'POST', `/jobs/${job.id}/cancel`),
        ['failed', 'cancelled'].includes(state) && act('retry', 'POST', `/jobs/${job.id}/retry`),
        !active && el('button', { className: 'plain', type: 'button', 'data-act': 'delete', onclick: () => this.scheduleDeletion(job.id) }, t('delete'))),
      state === 'running' && el('progress', { max: 1, 'aria-label': job.label }),
      state === 'running' && el('p', { className: 'hint moving' }),
      state === 'running' && el('img', { className: 'preview', alt: t('preview'), hidden: true }),
      job.error && el('p', { className: 'wrong' }, errorText(job.error)),
      job.summary?.needed === false && el('p', { className: 'yes' }, t('not_needed')),
      job.summary?.warnings?.length > 0 && el('ul', { className: 'notes' }, ...job.summary.warnings.map((/** @type {string} */ text) => el('li', {}, text))),
      job.summary?.check && el('p', { className: 'yes small' }, checked(job.summary.check)),
      ...results(job, this.use));
  }

  /** Creates the card of a job that is about to be deleted, with an undo button. @param {any} job */
  undoCard(job) {
    return el('article', { className: 'job', 'data-id': job.id, 'data-state': 'deleted', 'aria-label': job.label },
      el('div', { className: 'row' }, el('p', { className: 'hint grow', role: 'status' }, t('deleted', { name: job.label })),
        el('button', { className: 'plain', type: 'button', 'data-act': 'delete', onclick: () => this.undoDeletion(job.id) }, t('undo'))));
  }

  /** Updates the progress bar, and fetches the preview at most every PREVIEW milliseconds. @param {{job: any, card: HTMLElement, shown: number}} entry */
  updateProgress(entry) {
    const { job, card } = entry;
    const { progress } = job;
    const bar = card.querySelector('progress');
    if (!bar || !progress) return;
    if (progress.total) bar.value = progress.done / progress.total;
    const moving = card.querySelector('.moving');
    if (moving) {
      moving.textContent = [
        progress.total ? t('progress', { done: progress.done, total: progress.total }) : t('progress_open', { done: progress.done }),
        progress.rate ? t('rate', { rate: Math.round(progress.rate * 10) / 10 }) : '',
        progress.eta_s ? t('left', { time: duration(progress.eta_s) }) : '',
      ].filter(Boolean).join(' · ');
    }
    const preview = /** @type {HTMLImageElement | null} */ (card.querySelector('.preview'));
    if (preview && progress.preview > 0 && (preview.hidden || Date.now() - entry.shown > PREVIEW)) {
      entry.shown = Date.now();
      preview.src = url(`/jobs/${job.id}/preview?n=${progress.preview}`);
      preview.hidden = false;
    }
  }
}

/** Describes a job in one line. @param {any} job */
function about(job) {
  const spent = job.summary?.elapsed_s;
  const size = job.files.reduce((/** @type {number} */ sum, /** @type {any} */ file) => sum + file.bytes, 0);
  return [
    t(`kind_${job.kind}`),
    job.position ? t('queued_at', { n: job.position }) : '',
    job.resumed ? t('resumed') : job.attempts > 1 ? t('attempt', { n: job.attempts }) : '',
    typeof spent === 'number' ? t('took', { time: duration(spent), size: bytes(size) }) : '',
  ].filter(Boolean).join(' · ');
}
