import { useStdout } from 'ink'
import { useEffect, useState } from 'react'
import type { Size } from './layout.ts'

/** the terminal's size, as it is now */
export function useSize(): Size {
  const { stdout } = useStdout()
  const read = (): Size => ({ columns: stdout.columns || 80, rows: stdout.rows || 24 })
  const [size, setSize] = useState(read)
  useEffect(() => {
    const changed = (): void => setSize({ columns: stdout.columns || 80, rows: stdout.rows || 24 })
    stdout.on('resize', changed)
    return () => {
      stdout.off('resize', changed)
    }
  }, [stdout])
  return size
}
