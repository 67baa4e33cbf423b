/** mien/recognizer.py: detector, crop and network in one object, through ONNX Runtime Web. */
import * as ort from "onnxruntime-web/wasm";
import { type Place } from "./boxes";
import { mouthIsCovered } from "./covered_mouth";
import { type DetectorMap, type Network } from "./decoding";
import { findStanding } from "./face_finder";
import { type Box, type Picture } from "./picture";
import { cropFace, toNetworkInput } from "./preprocessing";
import { type Model, type Settings, type Weights } from "./settings";

export interface Face {
  readonly box: Box;
  readonly detectionScore: number;
  readonly landmarks: readonly Place[];
  /** Probabilities of the network's expressions, in their order. */
  readonly scores: readonly number[];
  readonly mouthCovered: boolean;
}

/** Milliseconds of each stage. */
export interface Times {
  decode: number;
  detect: number;
  crop: number;
  recognize: number;
}

const BATCH_SIZE = 64;

/** A runtime of so many threads, from the page's own folder. */
export function prepareRuntime(folder: string, threads: number): void {
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.wasmPaths = {
    mjs: new URL("ort-wasm-simd-threaded.mjs", folder).href,
    wasm: new URL("ort-wasm-simd-threaded.wasm", folder).href,
  };
}

async function open(weights: Weights, base: string): Promise<ort.InferenceSession> {
  const answer = await fetch(new URL(weights.url, base), { integrity: weights.integrity });
  if (!answer.ok) throw new Error(`${weights.url}: ${answer.status}`);
  return ort.InferenceSession.create(new Uint8Array(await answer.arrayBuffer()));
}

/** Logits (N, K) of crops. */
interface Scorer {
  readonly model: Model;
  readonly session: ort.InferenceSession;
}

export class Recognizer {
  private readonly scorers = new Map<string, Promise<Scorer>>();

  private constructor(
    private readonly settings: Settings,
    private readonly base: string,
    private readonly detector: ort.InferenceSession,
  ) {}

  /** base: the address of the page, against which those of the weights are given. */
  static async open(settings: Settings, base: string): Promise<Recognizer> {
    return new Recognizer(settings, base, await open(settings.detector, base));
  }

  /** Loads a network, once. */
  scorer(name: string): Promise<Scorer> {
    let loading = this.scorers.get(name);
    if (!loading) {
      const model = this.settings.models.find((each) => each.name === name);
      if (!model) throw new Error(`unknown model ${name}`);
      loading = open(model, this.base).then((session) => ({ model, session }));
      loading.catch(() => this.scorers.delete(name));
      this.scorers.set(name, loading);
    }
    return loading;
  }

  /** finely: as finely as a photograph's pixels allow; otherwise at one size, which is faster. Adds to `times`. */
  async recognize(picture: Picture, name: string, finely: boolean, times: Times): Promise<Face[]> {
    const { settings } = this;
    const scorer = await this.scorer(name);
    const start = performance.now();
    const found = await findStanding(picture, this.network, finely, settings);
    const detected = performance.now();
    const { preprocessing } = scorer.model;
    const crops = found.map((each) => cropFace(picture, each.upright, each.roll, preprocessing, settings.crops));
    const { covered_mouth } = settings;
    const covered = found.map(({ upright, roll }) => {
      return mouthIsCovered(cropFace(picture, upright, roll, covered_mouth.look, settings.crops), covered_mouth);
    });
    const cut = performance.now();
    const rows = await this.score(crops, scorer);
    times.detect += detected - start;
    times.crop += cut - detected;
    times.recognize += performance.now() - cut;
    return found.map((each, index) => ({
      box: each.box,
      detectionScore: each.score,
      landmarks: each.landmarks,
      scores: rows[index]!,
      mouthCovered: covered[index]!,
    }));
  }

  private readonly network: Network = async (picture) => {
    const { data, width, height } = picture;
    const pixels = new Uint8Array(data.buffer, data.byteOffset, data.length);
    const input = new ort.Tensor("uint8", pixels, [1, height, width, 3]);
    const found = await this.detector.run({ [this.detector.inputNames[0]!]: input });
    return this.detector.outputNames.map((name): DetectorMap => {
      const map = found[name]!;
      return { data: map.data as Float32Array, rows: map.dims[2]!, columns: map.dims[3]! };
    });
  };

  private async score(crops: readonly Picture[], { model, session }: Scorer): Promise<number[][]> {
    const { size_px, channels } = model.preprocessing;
    const rows: number[][] = [];
    for (let start = 0; start < crops.length; start += BATCH_SIZE) {
      const batch = crops.slice(start, start + BATCH_SIZE);
      const values = toNetworkInput(batch, model.preprocessing, this.settings.crops);
      const input = new ort.Tensor("float32", values, [batch.length, channels, size_px, size_px]);
      const { logits } = await session.run({ [session.inputNames[0]!]: input }, ["logits"]);
      const width = model.expressions.length;
      for (let row = 0; row < batch.length; row++) {
        rows.push(softmax((logits!.data as Float32Array).slice(row * width, (row + 1) * width)));
      }
    }
    return rows;
  }
}

function softmax(logits: Float32Array): number[] {
  const most = Math.max(...logits);
  const exponentials = Array.from(logits, (logit) => Math.exp(logit - most));
  const sum = exponentials.reduce((total, value) => total + value, 0);
  return exponentials.map((value) => value / sum);
}
