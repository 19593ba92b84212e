import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { errorsPage } from "./errors-page.ts";

/** `npm run generate`: writes the pages that are made from the source. Tests fail while they differ. */
writeFileSync(join(import.meta.dirname, "../docs/errors.md"), errorsPage());
