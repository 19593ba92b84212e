import type {
  AuditRepository,
  CheckRepository,
  CommandRepository,
  EnvironmentRepository,
  EventRepository,
  CertificateRepository,
  LoanRepository,
  OwnedSecretRepository,
  PlanRepository,
  RecordRepository,
  ResourceRepository,
  SecretRepository,
  StateRepository,
  TemplateRepository,
} from "../../../ports/repositories.ts";
import type { RelayRepository } from "../../../ports/relay.ts";
import type { SearchRepository } from "../../../ports/search.ts";
import type { SearchTx } from "../../../ports/store.ts";
import type { LogRepository, RunRepository, StepRepository } from "../../../ports/work.ts";
import type { WorkerRepository } from "../../../ports/worker.ts";
import { audits } from "./audit.ts";
import { checks } from "./check.ts";
import { commands } from "./command.ts";
import { environments } from "./environment.ts";
import { events } from "./event.ts";
import { loans } from "./loan.ts";
import { logs } from "./log.ts";
import { certificates } from "./certificate.ts";
import { ownedSecrets } from "./owned-secret.ts";
import { plans } from "./plan.ts";
import { records } from "./record.ts";
import { relays } from "./relay.ts";
import { resources } from "./resource.ts";
import { runs } from "./run.ts";
import { searches } from "./search.ts";
import { secrets } from "./secret.ts";
import type { Session } from "./session.ts";
import { states } from "./state.ts";
import { steps } from "./step.ts";
import { templates } from "./template.ts";
import { workers } from "./worker.ts";

/** The repositories of one transaction. Each is made when it is first asked for: most transactions use three of them. */
export class SqlTx implements SearchTx {
  readonly #session: Session;
  #templates: TemplateRepository | undefined;
  #environments: EnvironmentRepository | undefined;
  #commands: CommandRepository | undefined;
  #runs: RunRepository | undefined;
  #steps: StepRepository | undefined;
  #records: RecordRepository | undefined;
  #resources: ResourceRepository | undefined;
  #checks: CheckRepository | undefined;
  #secrets: SecretRepository | undefined;
  #ownedSecrets: OwnedSecretRepository | undefined;
  #certificates: CertificateRepository | undefined;
  #loans: LoanRepository | undefined;
  #states: StateRepository | undefined;
  #plans: PlanRepository | undefined;
  #events: EventRepository | undefined;
  #logs: LogRepository | undefined;
  #audits: AuditRepository | undefined;
  #workers: WorkerRepository | undefined;
  #relays: RelayRepository | undefined;
  #searches: SearchRepository | undefined;

  constructor(session: Session) {
    this.#session = session;
  }

  get shared(): object {
    return this.#session.transaction;
  }

  time(): Promise<string> {
    return this.#session.time();
  }

  /** Bound: those who listen to a transaction put a proxy before it. */
  get sure(): SearchTx["sure"] {
    return (look) => this.#session.sure(look);
  }

  get templates(): TemplateRepository {
    return (this.#templates ??= templates(this.#session));
  }

  get environments(): EnvironmentRepository {
    return (this.#environments ??= environments(this.#session));
  }

  get commands(): CommandRepository {
    return (this.#commands ??= commands(this.#session));
  }

  get runs(): RunRepository {
    return (this.#runs ??= runs(this.#session));
  }

  get steps(): StepRepository {
    return (this.#steps ??= steps(this.#session));
  }

  get records(): RecordRepository {
    return (this.#records ??= records(this.#session));
  }

  get resources(): ResourceRepository {
    return (this.#resources ??= resources(this.#session));
  }

  get checks(): CheckRepository {
    return (this.#checks ??= checks(this.#session));
  }

  get secrets(): SecretRepository {
    return (this.#secrets ??= secrets(this.#session));
  }

  get ownedSecrets(): OwnedSecretRepository {
    return (this.#ownedSecrets ??= ownedSecrets(this.#session));
  }

  get certificates(): CertificateRepository {
    return (this.#certificates ??= certificates(this.#session));
  }

  get loans(): LoanRepository {
    return (this.#loans ??= loans(this.#session));
  }

  get states(): StateRepository {
    return (this.#states ??= states(this.#session));
  }

  get plans(): PlanRepository {
    return (this.#plans ??= plans(this.#session));
  }

  get events(): EventRepository {
    return (this.#events ??= events(this.#session));
  }

  get logs(): LogRepository {
    return (this.#logs ??= logs(this.#session));
  }

  get audits(): AuditRepository {
    return (this.#audits ??= audits(this.#session));
  }

  get workers(): WorkerRepository {
    return (this.#workers ??= workers(this.#session));
  }

  get searches(): SearchRepository {
    return (this.#searches ??= searches(this.#session));
  }

  get relays(): RelayRepository {
    return (this.#relays ??= relays(this.#session));
  }
}
