/** Starts the page, and keeps it for visits without a network. */
import { Client } from "./client";
import { Page } from "./page";
import { type Settings } from "./settings";
import { translate } from "./texts";

async function start(): Promise<void> {
  translate();
  const settings = (await (await fetch("settings.json")).json()) as Settings;
  const model = settings.models.find((each) => each.name === settings.default_model)!;
  const client = new Client();
  const ready = client.load(settings, model.name);
  new Page(settings, model, client, ready);
  await ready;
  document.body.classList.add("ready");
  // Only now, so that what was loaded comes from the browser's cache.
  if ("serviceWorker" in navigator && isSecureContext) await navigator.serviceWorker.register("service-worker.js");
}

void start().catch(() => undefined); // the page says what it lacks; without a service worker, only the offline copy
