import { render } from 'ink'
import type { Engine } from '../engine/types.ts'
import { App } from './app.tsx'
import { addToHistory, historyFile, readHistory } from './history.ts'
import { firstWalk } from './tour.ts'

interface ScreenOptions {
  engine: Engine
  tour: boolean
}

/** Shows the screen until the user leaves. Standard input and output must be a terminal. */
export async function screen({ engine, tour }: ScreenOptions): Promise<void> {
  const file = historyFile()
  const { waitUntilExit } = render(
    <App
      engine={engine}
      history={readHistory(file)}
      remember={(line) => addToHistory(file, line)}
      tour={tour ? firstWalk : null}
    />,
    { exitOnCtrlC: false },
  )
  await waitUntilExit()
  await engine.close()
}
