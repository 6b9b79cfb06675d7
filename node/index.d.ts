// The reference in docs/node.md is generated from this file (node/scripts/reference.cjs): each declaration that is
// exported, with its comment. Sections are the lines that begin with "// ---".
/// <reference types="node" />

// --- Copying

/** What cp, cpSync, copyFile and copyFileSync take besides Node's options. */
export interface FerryCopyOptions {
  /** Replace existing files by complete new ones, in one step, and let new ones appear when they are complete: after an error or a kill the old content is there. Costs a new inode and a rename for each file. Default: false, as Node, which removes the old file first. */
  atomic?: boolean;
  /** Compare each copy with its source by a 128-bit hash, reading it back from storage where the page cache can be dropped. EIO if they differ. */
  verify?: boolean;
  /** Make each file durable before going on. */
  fsync?: boolean;
  /** Share blocks with the source where the file system can ('auto'), never, or fail where it cannot ('always'). */
  reflink?: 'auto' | 'never' | 'always';
  /** Return a report of what was done, and how. */
  explain?: boolean;
}

/** How far a copy has come. */
export interface CopyProgress {
  /** Bytes of file content copied. */
  bytesDone: bigint;
  /** Files, directories and symlinks that are done. */
  entriesDone: number;
}

/** What was done with bytes. Methods: reflink, copy_file_range, splice, sendfile, uring, read_write. */
export interface FileReport {
  bytesCopied: bigint;
  /** Bytes of the result that are holes. */
  holeBytes: bigint;
  size: bigint;
  /** Bytes moved by each method that moved any. */
  bytesByMethod: Record<string, bigint>;
  /** The errno with which a method was refused. */
  refused: Record<string, number>;
  verified: boolean;
  sourceChanged: boolean;
}

/** What cp did, with the sums over all files. */
export interface CopyReport extends FileReport {
  files: number;
  directories: number;
  symlinks: number;
  skipped: number;
  /** Always empty: a copy with changed sources rejects with SourceChangedError. */
  changedSources: string[];
}

/** One entry done. Files have the fields of FileReport. */
export interface CopyEvent extends Partial<FileReport> {
  kind: 'file' | 'directory' | 'symlink' | 'skipped';
  source: string;
  destination: string;
}

interface CopyTreeOptions extends FerryCopyOptions {
  dereference?: boolean;
  errorOnExist?: boolean;
  force?: boolean;
  mode?: number;
  preserveTimestamps?: boolean;
  recursive?: boolean;
  verbatimSymlinks?: boolean;
}

/** Options of cpSync: those of fs.cpSync, and ferry's. */
export interface CopySyncOptions extends CopyTreeOptions {
  filter?(source: string, destination: string): boolean;
  /** Called for each entry that is done. */
  onEvent?(event: CopyEvent): void;
  /** Called after each file, and within large ones. */
  onProgress?(progress: CopyProgress): void;
}

/** What can end work in the background. */
export interface Cancellation {
  /** Stops it, within a tenth of a second on ordinary storage; the promise is rejected with AbortError. */
  signal?: AbortSignal;
  /** Milliseconds, after which it is stopped; the promise is rejected with TimeoutError. */
  timeout?: number;
}

/** Options of cp: those of fs.promises.cp, and ferry's. */
export interface CopyOptions extends CopyTreeOptions, Cancellation {
  /** May be asynchronous. The copy waits for the answer, the event loop does not. */
  filter?(source: string, destination: string): boolean | Promise<boolean>;
  onEvent?(event: CopyEvent): void;
  /** Called at most every 50 ms. */
  onProgress?(progress: CopyProgress): void;
}

/** As fs.cpSync. Returns a report with `explain`. */
export function cpSync(src: string | Buffer | URL, dest: string | Buffer | URL, options: CopySyncOptions & { explain: true }): CopyReport;
export function cpSync(src: string | Buffer | URL, dest: string | Buffer | URL, options?: CopySyncOptions): void;

/** As fs.promises.cp. The work is done by a thread of ferry's own; the event loop and Node's thread pool stay free. */
export function cp(src: string | Buffer | URL, dest: string | Buffer | URL, options: CopyOptions & { explain: true }): Promise<CopyReport>;
export function cp(src: string | Buffer | URL, dest: string | Buffer | URL, options?: CopyOptions): Promise<void>;

/** As cp, as an async iterator of what is done. Leaving the loop ends the copy. Not more than 256 events wait: a slow reader slows the copy down. Returns the report with `explain`. */
export function cpEvents(src: string | Buffer | URL, dest: string | Buffer | URL, options?: Omit<CopyOptions, 'onEvent'>): AsyncGenerator<CopyEvent, CopyReport | undefined, void>;

/** Options of copyFile, ferry's; `mode` is that of fs.copyFile. */
export interface CopyFileOptions extends FerryCopyOptions, Cancellation {
  mode?: number;
  onProgress?(progress: CopyProgress): void;
}

/** As fs.promises.copyFile; the third argument may be options. */
export function copyFile(src: string | Buffer | URL, dest: string | Buffer | URL, options: CopyFileOptions & { explain: true }): Promise<FileReport>;
export function copyFile(src: string | Buffer | URL, dest: string | Buffer | URL, modeOrOptions?: number | CopyFileOptions): Promise<void>;

/** As fs.copyFileSync; the third argument may be options. */
export function copyFileSync(src: string | Buffer | URL, dest: string | Buffer | URL, options: FerryCopyOptions & { mode?: number; explain: true }): FileReport;
export function copyFileSync(src: string | Buffer | URL, dest: string | Buffer | URL, modeOrOptions?: number | (FerryCopyOptions & { mode?: number })): void;

// --- Listing

/** As fs.Dirent, of which it is an instance. */
export interface Dirent<Name extends string | Buffer = string> {
  name: Name;
  parentPath: string;
  /** The same as parentPath, as in Node 18 and 20. */
  path: string;
  isFile(): boolean;
  isDirectory(): boolean;
  isSymbolicLink(): boolean;
  isFIFO(): boolean;
  isSocket(): boolean;
  isCharacterDevice(): boolean;
  isBlockDevice(): boolean;
}

/** As fs.readdirSync. A recursive list is in the order of discovery, in which Node's may differ. */
export function readdirSync(path: string | Buffer | URL, options: { encoding: 'buffer'; recursive?: boolean; withFileTypes: true }): Dirent<Buffer>[];
export function readdirSync(path: string | Buffer | URL, options: { encoding?: BufferEncoding | null; recursive?: boolean; withFileTypes: true }): Dirent[];
export function readdirSync(path: string | Buffer | URL, options: 'buffer' | { encoding: 'buffer'; recursive?: boolean; withFileTypes?: false }): Buffer[];
export function readdirSync(path: string | Buffer | URL, options?: BufferEncoding | { encoding?: BufferEncoding | null; recursive?: boolean; withFileTypes?: false } | null): string[];

/** As fs.promises.readdir. */
export function readdir(path: string | Buffer | URL, options: { encoding: 'buffer'; recursive?: boolean; withFileTypes: true }): Promise<Dirent<Buffer>[]>;
export function readdir(path: string | Buffer | URL, options: { encoding?: BufferEncoding | null; recursive?: boolean; withFileTypes: true }): Promise<Dirent[]>;
export function readdir(path: string | Buffer | URL, options: 'buffer' | { encoding: 'buffer'; recursive?: boolean; withFileTypes?: false }): Promise<Buffer[]>;
export function readdir(path: string | Buffer | URL, options?: BufferEncoding | { encoding?: BufferEncoding | null; recursive?: boolean; withFileTypes?: false } | null): Promise<string[]>;

// --- Ranges of open files

/** Copies a range between two open files in the kernel where that works, else in chunks. Offsets and length are all numbers or all BigInts (mixed: TypeError); the result, the bytes copied, is of the same type. Less than `length` only at the end of the source. `flags` is 0. */
export function copyFileRange(fdIn: number, offsetIn: bigint, fdOut: number, offsetOut: bigint, length: bigint, flags?: number | bigint, options?: Cancellation): Promise<bigint>;
export function copyFileRange(fdIn: number, offsetIn: number, fdOut: number, offsetOut: number, length: number, flags?: number | bigint, options?: Cancellation): Promise<number>;

/** The same, at once. */
export function copyFileRangeSync(fdIn: number, offsetIn: bigint, fdOut: number, offsetOut: bigint, length: bigint, flags?: number | bigint): bigint;
export function copyFileRangeSync(fdIn: number, offsetIn: number, fdOut: number, offsetOut: number, length: number, flags?: number | bigint): number;

/** The chunk of copies that the kernel does not do, for the whole process: 65536 to 67108864 bytes, else a RangeError. */
export function setCopyChunkSize(bytes: number | bigint): void;

/** The chunk size; 4194304n until it is set. */
export function getCopyChunkSize(): bigint;

/** What the process has copied since it began, or since resetCopyStats(). */
export interface CopyStats {
  totalOperations: bigint;
  totalBytesCopied: bigint;
  /** Whether copy_file_range(2) can be used here (Linux 5.3). */
  kernelCopySupported: boolean;
  methods: Record<string, { operations: bigint; bytes: bigint; fallbacks: bigint }>;
}

/** A snapshot of the statistics of the process, all its threads together. */
export function getCopyStats(): CopyStats;

/** Begins to count again. */
export function resetCopyStats(): void;

// --- Buffers over native memory

/** A Buffer of zeros over native memory, up to 4 GiB. It is freed when the Buffer is collected, or by releaseBuffer(). */
export function createExternalBuffer(size: number | bigint): Buffer;

/** The same with memory from a pool, aligned to `alignment` bytes (a power of two from 8 to 2097152; default 4096), as direct I/O wants it. */
export function createManagedBuffer(size: number | bigint, options?: { alignment?: number }): Buffer;

/** Frees the memory of such a Buffer now: it, and all views of its ArrayBuffer, have no bytes any more. False, and nothing is done, if it is not one, or was transferred. Not while an operation is using it. */
export function releaseBuffer(buffer: NodeJS.ArrayBufferView): boolean;

/** Native memory that JavaScript holds, in the whole process: buffers and maps. */
export function nativeMemory(): { liveBytes: bigint; liveBuffers: number; pooledBytes: bigint };

/** Reads a file. Over 64 KiB the Buffer is the memory that the kernel wrote to: it is not copied again. */
export function readFile(path: string | Buffer | URL): Promise<Buffer>;

/** The same, at once. */
export function readFileSync(path: string | Buffer | URL): Buffer;

/** Reads up to `length` bytes of an open file from `offset`; fewer only at its end. */
export function read(fd: number, offset: number | bigint, length: number | bigint): Promise<Buffer>;

/** The same, at once. */
export function readSync(fd: number, offset: number | bigint, length: number | bigint): Buffer;

// --- Maps

/** A file in memory. */
export declare class FileMap {
  private constructor();
  /** The file's bytes. Detached, without bytes, when the map is closed. */
  readonly buffer: ArrayBuffer;
  readonly byteLength: number;
  readonly closed: boolean;
  /** Brings what was written to storage. */
  flush(): Promise<void>;
  flushSync(): void;
  /** madvise(2) for a range; without one, for all. */
  advise(advice: 'normal' | 'sequential' | 'random' | 'willNeed' | 'dontNeed' | 'cold' | 'hugePage', offset?: number | bigint, length?: number | bigint): void;
  /** Unmaps. Not while an operation is using the buffer. A second call does nothing. */
  close(): void;
}

/** Maps a file. With mode 'read', what is written to the buffer stays in memory and never reaches the file; with 'readWrite' it does. A process that truncates the file under a map kills the reader with SIGBUS, as with every map: map what others do not truncate. */
export function mapFile(path: string | Buffer | URL, options?: { mode?: 'read' | 'readWrite' }): FileMap;

// --- Extended attributes

/** Whether a symlink is followed (default) or meant itself. */
export interface XattrOptions {
  followSymlinks?: boolean;
}

/** getxattr(2) */
export function getxattr(path: string | Buffer | URL, name: string, options?: XattrOptions): Promise<Buffer>;
export function getxattrSync(path: string | Buffer | URL, name: string, options?: XattrOptions): Buffer;

/** setxattr(2). `create`: EEXIST if it is there; `replace`: ENODATA if it is not. */
export function setxattr(path: string | Buffer | URL, name: string, value: string | Uint8Array, options?: XattrOptions & { create?: boolean; replace?: boolean }): Promise<void>;
export function setxattrSync(path: string | Buffer | URL, name: string, value: string | Uint8Array, options?: XattrOptions & { create?: boolean; replace?: boolean }): void;

/** listxattr(2) */
export function listxattr(path: string | Buffer | URL, options?: XattrOptions): Promise<string[]>;
export function listxattrSync(path: string | Buffer | URL, options?: XattrOptions): string[];

/** removexattr(2) */
export function removexattr(path: string | Buffer | URL, name: string, options?: XattrOptions): Promise<void>;
export function removexattrSync(path: string | Buffer | URL, name: string, options?: XattrOptions): void;

// --- Times

/** A time as the kernel has it: nanoseconds are 0 to 999999999, also before 1970. */
export interface Timespec {
  seconds: bigint;
  nanoseconds: number;
}

/** Nanoseconds since 1970 of a Date. */
export function nanosecondsFromDate(date: Date): bigint;
/** The Date; what is less than a millisecond is dropped, towards the past. */
export function dateFromNanoseconds(nanoseconds: bigint): Date;
export function nanosecondsFromTimespec(timespec: Timespec): bigint;
export function timespecFromNanoseconds(nanoseconds: bigint): Timespec;
/** Of a time like 2026-01-31T12:00:00.000000001Z; up to nine digits after the point. */
export function nanosecondsFromString(text: string): bigint;
/** With nine digits after the point. */
export function stringFromNanoseconds(nanoseconds: bigint): string;

// --- Errors

/** Aborted by a signal. `cause` is the signal's reason. */
export declare class AbortError extends Error {
  constructor(cause?: unknown);
  readonly name: 'AbortError';
  readonly code: 'ABORT_ERR';
}

/** Took longer than `timeout`. */
export declare class TimeoutError extends Error {
  constructor(milliseconds: number);
  readonly name: 'TimeoutError';
  readonly code: 'ETIMEDOUT';
}

/** Everything was copied, but these files changed while they were read: their copies may mix two states. */
export declare class SourceChangedError extends Error {
  constructor(paths: string[]);
  readonly name: 'SourceChangedError';
  readonly code: 'ERR_FERRY_SOURCE_CHANGED';
  readonly paths: string[];
}

/** An error with an errno, made of its name ('ENOENT') or number (2). `errno` is negative, as in Node's errors. */
export declare class FuseErrno extends Error {
  constructor(errno: string | number, message?: string);
  readonly name: 'FuseErrno';
  readonly code: string;
  readonly errno: number;
}

/** The version of ferry's engine. */
export declare const version: string;
