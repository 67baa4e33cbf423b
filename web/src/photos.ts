/** The pictures of a visit: recognised one after the other, kept with what was found. */
import { type Client, Unanswered } from "./client";
import { type PhotoResult } from "./downloads";
import { type Times } from "./recognizer";
import { type Model, type Settings } from "./settings";
import { ofPhoto } from "./shown";
import { say } from "./texts";

export interface Item {
  readonly file: File;
  readonly url: string;
  readonly isVideo: boolean;
  result?: PhotoResult;
  times?: Times;
}

export class Photos {
  readonly items: Item[] = [];
  /** Called whenever something was found, or an item came. */
  onChange: (item: Item) => void = () => {};
  private round = 0;

  constructor(
    private readonly client: Client,
    private readonly settings: Settings,
  ) {}

  add(files: readonly File[]): Item[] {
    const added = files.map((file): Item => ({
      file,
      url: URL.createObjectURL(file),
      isVideo: file.type.startsWith("video/"),
    }));
    this.items.push(...added);
    for (const each of added) this.onChange(each);
    return added;
  }

  /** Recognises what was not yet; a later call, or `clear`, ends an earlier one. */
  async recognize(model: Model): Promise<void> {
    const round = ++this.round;
    for (const item of this.items) {
      if (item.isVideo || item.result) continue;
      const found = await this.recognizeOne(item, model);
      if (round !== this.round) return;
      Object.assign(item, found);
      this.onChange(item);
    }
  }

  private async recognizeOne({ file }: Item, model: Model): Promise<Pick<Item, "result" | "times">> {
    try {
      const { width, height, faces, times } = await this.client.ask({ kind: "photo", file, model: model.name });
      return { result: { source: file.name, width, height, faces: ofPhoto(faces, model) }, times };
    } catch (error) {
      return { result: { source: file.name, width: 0, height: 0, faces: [], error: this.reason(file.name, error) } };
    }
  }

  private reason(name: string, error: unknown): string {
    const refusal = error instanceof Unanswered ? error.refusal : undefined;
    if (refusal === "unreadable") return say("unreadable", { name });
    if (refusal === "too-large") return say("tooLarge", { name, most: Math.floor(this.settings.max_pixels / 1e6) });
    return say("failed", { name, reason: error instanceof Error ? error.message : String(error) });
  }

  /** What was found is forgotten, as by another network. */
  forget(): void {
    for (const item of this.items) delete item.result;
  }

  clear(): void {
    this.round++;
    for (const { url } of this.items) URL.revokeObjectURL(url);
    this.items.length = 0;
  }

  results(): PhotoResult[] {
    return this.items.flatMap(({ result }) => result ?? []);
  }
}
