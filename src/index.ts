/** The library: what a program may import. */

export { decode, type Layer } from './decode/decode.ts'
export * as abi from './host/abi.ts'
export { errnoName } from './host/errno.ts'
export { Host, type HostOptions, WouldBlockForever } from './host/host.ts'
export { Process, type UserBuffer } from './host/process.ts'
export { type Recorder, Runner } from './script/runner.ts'
export { type CallStatement, type CommandStatement, parseScenario, ScenarioError, type Statement } from './script/scenario.ts'
export { declaredFunctions } from './trace/kfunc.ts'
export { type Call, type Execution, listen, type Sink, type TracedSkb, traceTime } from './trace/tracer.ts'
