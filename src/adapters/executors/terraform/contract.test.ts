import { testExecutor } from "../../../testing/executor-contract.ts";
import { subject } from "./subject.fixture.ts";

testExecutor(subject);
