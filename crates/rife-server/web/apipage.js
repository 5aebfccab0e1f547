// @ts-check
// API page: an example with curl, and a table of all routes from the OpenAPI document.

import { call, url } from './api.js';
import { el, translate } from './dom.js';
import { LANGUAGES, language, t } from './text.js';

document.documentElement.lang = LANGUAGES[language()][0];
document.documentElement.dataset.theme = localStorage.getItem('theme') ?? 'auto';
translate();

const api = location.origin + url('');
const json = "-H 'Content-Type: application/json'";
const show = (/** @type {string} */ id, /** @type {string} */ text) => {
  const element = document.getElementById(id);
  if (element) element.textContent = text;
};
show('curl', `api=${api}
# ${t('api_token')}
curl -s --data-binary @clip.mp4 -H 'Content-Type: application/octet-stream' "$api/uploads?name=clip.mp4"
curl -s ${json} -d '{"kind": "video", "inputs": [{"upload": "up_…"}], "options": {"fps": 50}}' "$api/jobs"
curl -sN "$api/jobs/job_…/events"
curl -s -o out.mp4 "$api/jobs/job_…/files/result.mp4"`);

try {
  const { paths } = await call('GET', '/openapi.json');
  const rows = Object.entries(paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, { summary }]) =>
    el('tr', {}, el('td', {}, el('code', {}, method.toUpperCase())), el('td', {}, el('code', {}, path)), el('td', {}, summary))));
  const head = ['api_method', 'api_path', 'api_what'].map((key) => el('th', { scope: 'col' }, t(key)));
  document.getElementById('routes')?.append(el('table', {}, el('thead', {}, el('tr', {}, ...head)), el('tbody', {}, ...rows)));
} catch (error) {
  show('routes', /** @type {Error} */ (error).message);
}
