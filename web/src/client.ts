/** The page's end of the worker: requests as promises. */
import { type Answers, type Refusal, type Reply, type Request } from "./messages";
import { type Settings } from "./settings";

declare const WORKER: string;
declare const RUNTIME: string;

/** More gain nothing for networks of this size. */
const MOST_THREADS = 4;

/** Why there is no answer; `refusal` where the picture is to blame. */
export class Unanswered extends Error {
  constructor(
    readonly refusal: Refusal | undefined,
    reason: string,
  ) {
    super(reason);
  }
}

interface Waiting {
  resolve(answer: never): void;
  reject(error: Error): void;
}

export class Client {
  private readonly worker = new Worker(new URL(WORKER, document.baseURI), { type: "module", name: "mien" });
  private readonly waiting = new Map<number, Waiting>();
  private count = 0;

  constructor() {
    this.worker.onmessage = ({ data }: MessageEvent<Reply>) => this.settle(data);
    this.worker.onerror = (event) => {
      for (const each of this.waiting.values()) each.reject(new Unanswered(undefined, event.message || "worker"));
      this.waiting.clear();
    };
  }

  /** Loads the runtime, the detector and a network. */
  load(settings: Settings, model: string): Promise<unknown> {
    const cores = Math.floor((navigator.hardwareConcurrency || 1) / 2);
    const threads = crossOriginIsolated ? Math.max(1, Math.min(MOST_THREADS, cores)) : 1;
    const runtime = new URL(RUNTIME, document.baseURI).href;
    return this.ask({ kind: "load", settings, base: document.baseURI, runtime, model, threads });
  }

  ask<R extends Request>(request: R, transfer: Transferable[] = []): Promise<Answers[R["kind"]]> {
    const id = ++this.count;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, request }, transfer);
    });
  }

  private settle({ id, answer, refusal, failure }: Reply): void {
    const waiting = this.waiting.get(id);
    this.waiting.delete(id);
    if (answer) waiting?.resolve(answer as never);
    else waiting?.reject(new Unanswered(refusal, failure ?? String(refusal)));
  }
}
