// The text of `ferry cp --help`.
#include <string>

#include "cli/cp_arguments.hpp"

namespace ferry::cli {

std::string cp_help(bool colour) {
  // Lines that begin with '#' are headings.
  static constexpr std::string_view text = R"(Usage: ferry cp [OPTION]... [-T] SOURCE DEST
  or:  ferry cp [OPTION]... SOURCE... DIRECTORY
  or:  ferry cp [OPTION]... -t DIRECTORY SOURCE...
Copy SOURCE to DEST, or SOURCEs into DIRECTORY. Takes the options of GNU cp and some more.

#Examples
  ferry cp -a /srv/data /mnt/backup        copy a tree with everything that belongs to it
  ferry cp -r --progress src/ dst          copy a tree and watch
  ferry cp -u *.jpg /mnt/photos            copy what is newer or missing
  ferry cp --reflink=always disk.img new   share the blocks, or fail
  ferry cp -a --verify --fsync a b         re-read and compare, and be durable, before saying it is done
  ferry cp -r --explain big /mnt/nfs       say for each file how its bytes were moved

#What is copied
  -R, -r, --recursive          copy directories recursively
  -a, --archive                same as -dR --preserve=all
  -x, --one-file-system        stay on this file system
  -H                           follow symbolic links named as SOURCE
  -L, --dereference            follow all symbolic links in SOURCE
  -P, --no-dereference         never follow symbolic links in SOURCE (the default with -R)
  -d                           same as --no-dereference --preserve=links
      --copy-contents          with -R, read fifos and devices instead of recreating them
      --attributes-only        copy the attributes, not the data
  -l, --link                   make hard links instead of copying
  -s, --symbolic-link          make symbolic links instead of copying
      --strip-trailing-slashes  remove trailing slashes from each SOURCE
      --parents                use the full name of SOURCE under DIRECTORY
  -t, --target-directory=DIRECTORY  copy all SOURCEs into DIRECTORY
  -T, --no-target-directory    treat DEST as the exact name, even if it is a directory
      --keep-directory-symlink  follow existing symbolic links to directories in DEST

#Attributes
  -p                           same as --preserve=mode,ownership,timestamps
      --preserve[=LIST]        keep these attributes: mode, ownership, timestamps (the default list),
                                 links, xattr, all
      --no-preserve=LIST       do not keep these
  -Z, --context[=CTX]          accepted and ignored: security contexts are not set

#What exists already
  -f, --force                  if DEST cannot be opened for writing, remove it and try again
  -i, --interactive            ask before overwriting (overrides an earlier -n)
  -n, --no-clobber             keep what exists (overrides an earlier -i, and -u)
  -u, --update[=WHICH]         overwrite all, none, none-fail (fail if DEST exists) or older (the default):
                                 only if SOURCE is newer
      --remove-destination     remove each existing destination file first
  -b, --backup[=CONTROL]       keep the old file under another name: none or off, numbered or t,
                                 existing or nil (numbered if there is a numbered one), simple or never;
                                 -b takes no CONTROL; the default is $VERSION_CONTROL or existing
  -S, --suffix=SUFFIX          end of backup names ($SIMPLE_BACKUP_SUFFIX or ~)

#How the bytes are moved
      --reflink[=WHEN]         share blocks with SOURCE: always (the default if the option is given), or
                                 fail; auto (the default without it); never
      --sparse=WHEN            holes: auto (keep those of SOURCE), always (also make holes of zeros), never
      --method=LIST            allow only these: reflink, copy_file_range, splice, sendfile, uring,
                                 read_write (default: the fastest that works)
      --chunk-size=SIZE        buffer of read_write and uring, 64K to 64M (default: what was measured to suit)
      --direct                 past the page cache (O_DIRECT) where both sides can; by uring
      --iopoll                 as --direct, and poll the devices where they can (IOPOLL)
      --queue-depth=N          chunks in flight of uring, 1 to 256 (default 8)
      --preallocate            reserve the space of each file first
      --jobs=N                 threads, 1 to 256 (default: by the machine)

#Safety
      --verify                 compare every copy with its source by XXH3-128, re-read from storage
      --fsync                  success means: the data is on storage
      --inplace                write into existing files instead of replacing them
      --dry-run                change nothing; show what would be done

#What is shown
  -v, --verbose                a line for each file
      --debug                  as -v, with the kernel features used, as GNU cp shows them
      --explain                a line for each file: methods used, methods refused and why, bytes by each
      --json                   a summary as one JSON object; with --explain also one per file before it
      --progress[=WHEN]        a line with bytes, files, rate and time left on standard error: always (the
                                 default if the option is given), auto (only on a terminal: the default
                                 without it), never
      --help                   show this help
      --version                show the version

SIZE is a number of bytes, or one with a unit: K, M, G (powers of 1024), kB, MB, GB (powers of 1000).

#Errors leave the old file as it was
An existing file is replaced as a whole at the moment when its copy is complete: until then, and after
any error or kill, it keeps its old content (a file of at most 4096 bytes that does not shrink is written
by one write, which is done whole or not at all). Written in place, and so at risk while the copy runs: all
files with --inplace; and a DEST that is a symbolic link, has other hard links, is a mount point, or is
not a regular file, because there the same inode has to stay.

#Several processes
Started by mpirun or srun, as in 'mpirun -n 16 ferry cp -a SRC DST', processes on one machine or on many share
the copy, if all of them see the same files; rank 0 reports. FERRY_MPI=off in the environment: on its own.

#Exit status
  0    everything was copied (or was to be kept)
  1    something failed, or the command line is wrong; everything else was copied
  130  interrupted by Ctrl-C; 143 by SIGTERM, 129 by SIGHUP; no half-written file is left

Differences from GNU cp are listed in docs/cp.md.
)";
  std::string out;
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    if (line.starts_with('#')) {
      line.remove_prefix(1);
      out += colour ? "\x1b[1m" + std::string(line) + "\x1b[m" : std::string(line);
      out += ":\n";
    } else {
      out += line;
      out += '\n';
    }
  }
  return out;
}

}  // namespace ferry::cli
