// @ts-check
// Calls of the HTTP API; see docs/api.md.

import { t, told } from './text.js';

const BASE = '/api/v1';
/** Bytes of a range of an upload: small enough for progress that moves. */
const RANGE = 4 << 20;
const TRIES = 6;

/** What the API says of a call that it refuses. */
export class ApiError extends Error {
  /** @param {number} status @param {{code?: string, message?: string, field?: string, received?: number}} error */
  constructor(status, error) {
    super(error.message ? told(error) : `HTTP ${status}`);
    this.status = status;
    this.code = error.code ?? '';
    this.field = error.field;
    this.received = error.received;
  }
}

/** @param {string} path */
export const url = (path) => BASE + path;

/**
 * @param {string} method @param {string} path @param {any} [body]
 * @returns {Promise<any>}
 */
export async function call(method, path, body) {
  const json = body !== undefined;
  const answer = await fetch(url(path), {
    method,
    headers: json ? { 'Content-Type': 'application/json' } : {},
    body: json ? JSON.stringify(body) : undefined,
  });
  return read(answer);
}

/** @param {Response} answer */
async function read(answer) {
  if (answer.status === 204) return null;
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new ApiError(answer.status, body.error ?? {});
  return body;
}

/**
 * Sends a file by ranges, from where its upload is; goes on there when a connection breaks.
 * @param {File} file @param {{id: string, received: number}} upload
 * @param {(part: number) => void} progress @param {AbortSignal} signal
 */
export async function send(file, upload, progress, signal) {
  let [received, tries] = [upload.received, 0];
  while (received < file.size) {
    signal.throwIfAborted();
    try {
      received = await range(upload.id, file, received, signal);
      tries = 0;
    } catch (error) {
      await readable(file);
      received = await recover(error, upload.id, ++tries, signal);
    }
    progress(received / file.size);
  }
}

/** Throws where the browser cannot read it: a folder, or a file that was moved or changed since it was chosen. @param {File} file */
export async function readable(file) {
  await file.slice(0, 1).arrayBuffer().catch(() => { throw new ApiError(0, { code: 'unreadable_here', message: t('unreadable_here') }); });
}

/** Deletes an upload; one that is still being written when that is given up is waited for. @param {string} id */
export async function discard(id) {
  for (let tries = 0; tries < 8; tries += 1) {
    try {
      return await call('DELETE', `/uploads/${id}`);
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== 'busy') return;
      await new Promise((resolve) => setTimeout(resolve, 100 * 2 ** tries));
    }
  }
}

/** @param {string} id @param {File} file @param {number} from @param {AbortSignal} signal */
async function range(id, file, from, signal) {
  const to = Math.min(from + RANGE, file.size);
  const answer = await fetch(url(`/uploads/${id}`), {
    method: 'PUT',
    signal,
    headers: { 'Content-Type': 'application/octet-stream', 'Content-Range': `bytes ${from}-${to - 1}/${file.size}` },
    body: file.slice(from, to),
  });
  return (await read(answer)).received;
}

/** Where to go on from, after a pause. @param {any} error @param {string} id @param {number} tries @param {AbortSignal} signal */
async function recover(error, id, tries, signal) {
  const hopeless = error instanceof ApiError && error.status < 500 && error.code !== 'upload_offset' && error.code !== 'busy';
  if (hopeless || signal.aborted || tries > TRIES) throw error;
  await new Promise((resolve) => setTimeout(resolve, 400 * 2 ** tries));
  return (await call('GET', `/uploads/${id}`).catch(() => ({ received: error.received ?? 0 }))).received;
}

/** Milliseconds after which a silent server is asked whether it is there, and which it has for its answer. */
const [QUIET, ANSWER] = [15_000, 8000];

/**
 * Listens to all jobs, for as long as the page is open.
 * @param {(type: string, data: any) => void} heard @param {(up: boolean) => void} state
 */
export function listen(heard, state) {
  let last = Date.now();
  // A connection may be dead without an end, such as that to a machine that sleeps.
  setInterval(async () => {
    if (Date.now() - last < QUIET) return;
    const alive = await fetch(url('/health'), { signal: AbortSignal.timeout(ANSWER) }).then(() => true, () => false);
    if (alive) last = Date.now();
    state(alive);
  }, QUIET / 3);
  subscribe((type, data) => {
    last = Date.now();
    heard(type, data);
  }, state);
}

/** @param {(type: string, data: any) => void} heard @param {(up: boolean) => void} state */
function subscribe(heard, state) {
  const source = new EventSource(url('/events'));
  for (const type of ['job', 'progress', 'queue', 'deleted']) {
    source.addEventListener(type, (event) => heard(type, JSON.parse(/** @type {MessageEvent} */ (event).data)));
  }
  source.addEventListener('open', () => state(true));
  source.addEventListener('error', () => {
    state(false);
    // A server that refuses closes the stream for good; ask again after a while.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => subscribe(heard, state), 3000);
  });
}
