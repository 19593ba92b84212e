/**
 * The shape of an executor's settings (`with:` of a group), as plain data. From this one description the template check
 * (with positions, aware of expressions), the served JSON Schema and the editors' help are made.
 */
export type SettingsShape =
  | ObjectShape
  | MapShape
  | ListShape
  | ScalarShape
  /** Any JSON, expressions anywhere inside. */
  | (Marks & { readonly type: "any" });

export interface ObjectShape extends Marks {
  readonly type: "object";
  readonly fields: Readonly<Record<string, SettingsShape & { readonly required?: boolean }>>;
}

export interface MapShape extends Marks {
  readonly type: "map";
  readonly values: SettingsShape;
  readonly keyPattern?: string;
}

export interface ListShape extends Marks {
  readonly type: "list";
  readonly items: SettingsShape;
  readonly minItems?: number;
}

export interface ScalarShape extends Marks {
  /** `scalar` is string, number or boolean. */
  readonly type: "string" | "integer" | "number" | "boolean" | "scalar";
  readonly enum?: readonly string[];
  readonly pattern?: string;
}

export interface Marks {
  readonly description?: string;
  /** Secrets may be used here; anywhere else they are an error at registration. */
  readonly secret?: boolean;
  /** A path of a file or folder of the template: checked to exist and to stay inside. */
  readonly path?: boolean;
  /** An argument of a process: secrets are refused with that reason. */
  readonly argument?: boolean;
  /** Must be written out: expressions are refused (it is needed before anything is evaluated). */
  readonly literal?: boolean;
  /** In the schema, refused with "not available in this version". */
  readonly notAvailable?: boolean;
}
