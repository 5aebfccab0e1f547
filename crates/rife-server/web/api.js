// @ts-check
// Calls of the HTTP API; see docs/api.md.

import { told } from './text.js';

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
 * Sends a file by ranges; goes on where it was when a connection breaks.
 * @param {File} file @param {(part: number) => void} progress @param {AbortSignal} signal
 * @returns {Promise<any>} the upload
 */
export async function send(file, progress, signal) {
  const upload = await call('POST', '/uploads', { name: file.name, size: file.size });
  let [received, tries] = [0, 0];
  try {
    while (received < file.size) {
      signal.throwIfAborted();
      try {
        received = await range(upload.id, file, received, signal);
        tries = 0;
      } catch (error) {
        received = await recover(error, upload.id, ++tries, signal);
      }
      progress(received / file.size);
    }
  } catch (error) {
    call('DELETE', `/uploads/${upload.id}`).catch(() => {});
    throw error;
  }
  return { ...upload, received, state: 'complete' };
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

/**
 * Listens to all jobs, for as long as the page is open.
 * @param {(type: string, data: any) => void} heard @param {(up: boolean) => void} state
 */
export function listen(heard, state) {
  const source = new EventSource(url('/events'));
  for (const type of ['job', 'progress', 'deleted']) {
    source.addEventListener(type, (event) => heard(type, JSON.parse(/** @type {MessageEvent} */ (event).data)));
  }
  source.addEventListener('open', () => state(true));
  source.addEventListener('error', () => {
    state(false);
    // A server that refuses closes the stream for good; ask again after a while.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => listen(heard, state), 3000);
  });
}
