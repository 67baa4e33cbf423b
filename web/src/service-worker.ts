/**
 * Keeps the page for visits without a network, and gives its files the headers that threads need where the host does not.
 */
import { type Settings } from "./settings";

declare const self: ServiceWorkerGlobalScope;
declare const BUILD: string;
declare const FILES: readonly string[];

const CACHE = `mien ${BUILD}`;
const HEADERS = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
};
/** Addresses whose content never changes. */
const STAYS = /\/(assets|runtime|weights)\//;
/** What is for programs, not for the page. */
const LEFT_ALONE = /\/(v1\/|healthz$|openapi\.json$)/;

self.addEventListener("install", (event) => event.waitUntil(keepAll().then(() => self.skipWaiting())));
self.addEventListener("activate", (event) => event.waitUntil(forgetOthers().then(() => self.clients.claim())));
self.addEventListener("fetch", (event) => {
  const { request } = event;
  const address = new URL(request.url);
  if (request.method !== "GET" || address.origin !== self.location.origin || LEFT_ALONE.test(address.pathname)) return;
  event.respondWith(answer(request, STAYS.test(address.pathname)));
});

/** The page, the runtime, the detector and the usual network; other networks are kept once they were used. */
async function keepAll(): Promise<void> {
  const cache = await caches.open(CACHE);
  await cache.addAll(["./", "settings.json", ...FILES]);
  const settings = (await (await cache.match("settings.json"))!.json()) as Settings;
  const usual = settings.models.find((each) => each.name === settings.default_model)!;
  await cache.addAll([settings.detector.url, usual.url]);
}

async function forgetOthers(): Promise<void> {
  for (const name of await caches.keys()) if (name.startsWith("mien ") && name !== CACHE) await caches.delete(name);
}

async function answer(request: Request, stays: boolean): Promise<Response> {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(request);
  if (kept && stays) return withHeaders(kept);
  try {
    const found = await fetch(request);
    if (found.ok) await cache.put(request, found.clone());
    return withHeaders(found);
  } catch (error) {
    if (kept) return withHeaders(kept);
    throw error;
  }
}

function withHeaders(response: Response): Response {
  if (response.type === "opaque" || response.status === 0 || response.status === 304) return response;
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(HEADERS)) headers.set(name, value);
  const { status, statusText } = response;
  return new Response(response.body, { status, statusText, headers });
}
