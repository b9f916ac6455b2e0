/**
 * The same question to a checker of others: Porcupine (github.com/anishathalye/porcupine), built by Go in a folder of its
 * own from the program below. Its model is written anew in Go, so that a mistake in ours would not be in both.
 */

import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { byKey, type Operation } from './histories.ts';
import type { Verdict } from './histories-checker.ts';

const run = promisify(execFile);
const BUILD_MS = 180_000;
const JUDGE_MS = 300_000;
/** How long Porcupine searches in one key. */
const KEY_SECONDS = 20;

const MODULE = `module holdfast.test/porcupine

go 1.18

require github.com/anishathalye/porcupine v1.3.1
`;
/** What go.mod names is taken with this content alone. */
const SUMS = `github.com/anishathalye/porcupine v1.3.1 h1:fBZ4/NGNPnIDdd6xNtrNk9/GiEQ0L4FO5+scINN+t0E=
github.com/anishathalye/porcupine v1.3.1/go.mod h1:WM0SsFjWNl2Y4BqHr/E/ll2yY1GY1jqn+W7Z/84Zoog=
`;
const MAIN = `package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/anishathalye/porcupine"
)

// An operation as the recorder tells it. Seen is what a read saw, Made the version that a write made; -1 where nobody was told.
type asked struct {
	Kind     string
	Value    string
	Expected int
	Mismatch bool
}

type told struct {
	Known bool
	Made  int
	Seen  string
}

type line struct {
	Key      string
	Kind     string
	Value    string
	Expected int
	Mismatch bool
	Known    bool
	Made     int
	Seen     string
	Call     int64
	Return   int64
}

type register struct {
	version int
	value   string
}

func step(state, input, output interface{}) (bool, interface{}) {
	has, in, out := state.(register), input.(asked), output.(told)
	next := register{has.version + 1, in.Value}
	switch in.Kind {
	case "read":
		return out.Made == has.version && out.Seen == has.value, has
	case "delete":
		return true, register{has.version, ""}
	case "cas":
		if in.Mismatch {
			return has.version != in.Expected, has
		}
		if has.version != in.Expected {
			return !out.Known, has
		}
	}
	return !out.Known || out.Made == next.version, next
}

func main() {
	keys := map[string][]porcupine.Operation{}
	lines := json.NewDecoder(os.Stdin)
	for lines.More() {
		var one line
		if err := lines.Decode(&one); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		if one.Return < 0 {
			one.Return = math.MaxInt64
		}
		keys[one.Key] = append(keys[one.Key], porcupine.Operation{
			Input:  asked{one.Kind, one.Value, one.Expected, one.Mismatch},
			Output: told{one.Known, one.Made, one.Seen},
			Call:   one.Call,
			Return: one.Return,
		})
	}
	model := porcupine.Model{
		Init: func() interface{} { return register{} },
		Step: step,
	}
	wrong, undecided := []string{}, []string{}
	for key, history := range keys {
		switch porcupine.CheckOperationsTimeout(model, history, ${KEY_SECONDS}*time.Second) {
		case porcupine.Illegal:
			wrong = append(wrong, key)
		case porcupine.Unknown:
			undecided = append(undecided, key)
		}
	}
	json.NewEncoder(os.Stdout).Encode(map[string]interface{}{"keys": len(keys), "wrong": wrong, "undecided": undecided})
}
`;

let built: Promise<{ readonly program: string } | string> | undefined;

/** Builds the checker, once; a text says why it cannot be had here. */
export function porcupine(): Promise<{ readonly program: string } | string> {
  built ??= build();
  return built;
}

async function build(): Promise<{ readonly program: string } | string> {
  try {
    await run('go', ['version']);
  } catch {
    return 'there is no Go on the PATH';
  }
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-porcupine-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const program = join(folder, 'porcupine');
  try {
    await writeFile(join(folder, 'go.mod'), MODULE);
    await writeFile(join(folder, 'go.sum'), SUMS);
    await writeFile(join(folder, 'main.go'), MAIN);
    await run('go', ['build', '-mod=readonly', '-o', program, '.'], { cwd: folder, timeout: BUILD_MS });
    return { program };
  } catch (error) {
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr) : String(error);
    return `its module cannot be built here: ${said.trim().split('\n').at(-1)}`;
  }
}

/** @throws Error where Porcupine cannot be had: ask `porcupine()` first */
export async function judgeByPorcupine(history: readonly Operation[]): Promise<Verdict> {
  const found = await porcupine();
  if (typeof found === 'string') throw new Error(found);
  let operations = 0;
  const lines: string[] = [];
  for (const [key, mine] of byKey(history))
    for (const operation of mine) {
      operations++;
      lines.push(JSON.stringify(lineOf(key, operation)));
    }
  const judging = run(found.program, [], { timeout: JUDGE_MS, maxBuffer: 64 * 1024 * 1024 });
  judging.child.stdin?.on('error', () => {});
  judging.child.stdin?.end(lines.join('\n'));
  const { stdout } = await judging;
  return { operations, ...(JSON.parse(stdout) as Omit<Verdict, 'operations'>) };
}

const microseconds = (ms: number): number => Math.round(ms * 1000);

function lineOf(key: string, { asked, outcome, told, invoked, returned }: Operation): object {
  return {
    key,
    kind: asked.kind,
    value: 'value' in asked ? asked.value : '',
    expected: 'expected' in asked ? asked.expected : -1,
    mismatch: outcome === 'mismatch',
    known: told !== undefined,
    made: told?.version ?? -1,
    seen: told?.value ?? '',
    call: microseconds(invoked),
    return: outcome === 'unknown' ? -1 : microseconds(returned),
  };
}
