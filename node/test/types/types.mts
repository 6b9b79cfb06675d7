// Compiled, never run: what the declarations say of each function.
import * as ferry from 'ferry-native';
import { constants } from 'node:fs';

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function is<Wanted>() {
  return <Given,>(_value: Given, _equal: Equal<Wanted, Given>): void => {};
}

is<void>()(ferry.cpSync('a', 'b'), true);
is<ferry.CopyReport>()(ferry.cpSync('a', new URL('file:///b'), { recursive: true, explain: true }), true);
is<Promise<void>>()(ferry.cp('a', 'b', { filter: async (source, destination) => source === destination, signal: AbortSignal.timeout(1) }), true);
is<Promise<ferry.CopyReport>>()(ferry.cp('a', 'b', { explain: true }), true);
is<Promise<void>>()(ferry.copyFile('a', 'b', constants.COPYFILE_EXCL), true);
is<ferry.FileReport>()(ferry.copyFileSync('a', 'b', { explain: true }), true);
is<string[]>()(ferry.readdirSync('a', { recursive: true }), true);
is<ferry.Dirent[]>()(ferry.readdirSync('a', { recursive: true, withFileTypes: true }), true);
is<Promise<ferry.Dirent<Buffer>[]>>()(ferry.readdir('a', { encoding: 'buffer', withFileTypes: true }), true);
is<Promise<bigint>>()(ferry.copyFileRange(0, 0n, 1, 0n, 1n, 0, { timeout: 10 }), true);
is<number>()(ferry.copyFileRangeSync(0, 0, 1, 0, 1), true);
is<bigint>()(ferry.getCopyChunkSize(), true);
is<Buffer>()(ferry.createManagedBuffer(10n, { alignment: 512 }), true);
is<ArrayBuffer>()(ferry.mapFile('a').buffer, true);
is<bigint>()(ferry.nanosecondsFromDate(new Date()), true);
is<-1 | number>()(new ferry.FuseErrno('ENOENT').errno, true);

async function events() {
  for await (const event of ferry.cpEvents('a', 'b', { recursive: true })) {
    is<ferry.CopyEvent>()(event, true);
  }
}
void events;

// What must not compile.
// @ts-expect-error a filter of cpSync answers at once
ferry.cpSync('a', 'b', { filter: async () => true });
// @ts-expect-error numbers and BigInts are not mixed
ferry.copyFileRangeSync(0, 0n, 1, 0, 1);
// @ts-expect-error there is no such way
ferry.copyFileSync('a', 'b', { reflink: 'sometimes' });
// @ts-expect-error maps are made by mapFile
new ferry.FileMap();
// @ts-expect-error onEvent is what the iterator is for
ferry.cpEvents('a', 'b', { onEvent() {} });
// @ts-expect-error an attribute has a name
ferry.getxattrSync('a', 1);
