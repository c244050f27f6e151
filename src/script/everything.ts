import { loadCommands } from './command.ts'
import { loadIpv6 } from './ipv6.ts'
import { loadAllModules } from './modules.ts'
import { commandNames, parseScenario } from './scenario.ts'
import '../kernel/kernel.ts'

/** Loads every part of the kernel there is, so that each of its functions is declared: a saved trace may name any. */
export async function loadEverything(): Promise<void> {
  await loadAllModules()
  await loadIpv6(parseScenario('s = socket(AF_INET6, SOCK_DGRAM, 0)'))
  await loadCommands(commandNames)
}
