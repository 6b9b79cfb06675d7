// Probing one place and a pair of places: every question is put to the kernel on temporary files.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <ferry/copy.hpp>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>

#include "base/sys.hpp"
#include "cli/probe_facts.hpp"

namespace ferry::cli::probe {
namespace {

using Answer = Finding::Answer;
using namespace std::string_literals;

// Above the size that ferry copies by one read and one write, and a multiple of every block size in use.
constexpr std::size_t sample_bytes = 2 * small_file_bytes;
constexpr std::size_t small_sample_bytes = 4096;

std::string words(int errno_value) { return std::generic_category().message(errno_value); }

Finding yes(std::string note = {}) { return {Answer::yes, 0, std::move(note)}; }
Finding refused(int errno_value, std::string note = {}) { return {Answer::no, errno_value, std::move(note)}; }
Finding unknown(const Error& why) { return {Answer::unknown, why.errno_value(), "nothing can be written there"}; }

// For calls that answer >= 0 or -errno.
Finding worked(long result, std::string note_if_refused = {}) {
  return result >= 0 ? yes() : refused(static_cast<int>(-result), std::move(note_if_refused));
}

int fill(int fd, std::size_t bytes, off_t offset = 0) {
  const std::string content(bytes, 'f');
  std::size_t done = 0;
  while (done < bytes) {
    const ssize_t n = sys::pwrite(fd, content.data() + done, bytes - done, offset + static_cast<off_t>(done));
    if (n <= 0) {
      return n == 0 ? -EIO : static_cast<int>(n);
    }
    done += static_cast<std::size_t>(n);
  }
  return 0;
}

// ------------------------------------------------------------------------------------------- the file system

struct Mount {
  std::string type;
  std::string source;
  std::string point;
};

// proc(5) escapes space, tab, newline and backslash as \ooo.
std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

// The line of /proc/self/mountinfo (proc(5)) for the mount that `fd` is on; by its id, which statx gives since 5.8.
std::optional<Mount> find_mount(int fd) {
  struct statx status = {};
  if (sys::statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, status) < 0 || (status.stx_mask & STATX_MNT_ID) == 0) {
    return std::nullopt;
  }
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::uint64_t id = 0;
    std::string parent;
    std::string device;
    std::string root;
    Mount mount;
    fields >> id >> parent >> device >> root >> mount.point;
    const std::size_t separator = line.find(" - ");
    if (id == status.stx_mnt_id && separator != std::string::npos) {
      std::istringstream rest(line.substr(separator + 3));
      rest >> mount.type >> mount.source;
      mount.point = unescaped(mount.point);
      mount.source = unescaped(mount.source);
      return mount;
    }
  }
  return std::nullopt;
}

// Where the mount cannot be found (kernels before 5.8, and below chroot(2)): the kind by its magic number (statfs(2)).
std::string name_of_magic(std::uint32_t magic) {
  struct Kind {
    std::uint32_t magic;
    const char* name;
  };
  constexpr auto kinds = std::to_array<Kind>({
      {0xEF53, "ext2/ext3/ext4"},
      {0x01021994, "tmpfs"},
      {0x58465342, "xfs"},
      {0x9123683E, "btrfs"},
      {0x794C7630, "overlay"},
      {0x6969, "nfs"},
      {0xFF534D42, "cifs"},
      {0xFE534D42, "smb2"},
      {0x65735546, "fuse"},
      {0x2FC12FC1, "zfs"},
      {0xF2F52010, "f2fs"},
      {0xCA451A4E, "bcachefs"},
      {0x4D44, "vfat"},
      {0x2011BAB0, "exfat"},
      {0x73717368, "squashfs"},
      {0x9FA0, "proc"},
      {0x62656572, "sysfs"},
  });
  for (const Kind& kind : kinds) {
    if (kind.magic == magic) {
      return kind.name;
    }
  }
  return fmt::format("unknown (magic number {:#x})", magic);
}

void add_file_system(const Place& place, Entries& out) {
  if (const std::optional<Mount> mount = find_mount(place.dirfd())) {
    out.push_back(
        entry("file_system", "file system", mount->type,
              fmt::format("{} ({} on {})", mount->type, ferry::quoted(mount->source), ferry::quoted(mount->point))));
    out.push_back(entry("mount_point", "", mount->point, ""));
  }
  struct statfs status = {};
  if (const int result = sys::fstatfs(place.dirfd(), status); result < 0) {
    out.push_back(entry("space", "space", refused(-result)));
    return;
  }
  const auto unit = static_cast<std::uint64_t>(status.f_frsize > 0 ? status.f_frsize : status.f_bsize);
  const std::uint64_t free_bytes = status.f_bavail * unit;
  const std::uint64_t total_bytes = status.f_blocks * unit;
  if (out.empty()) {
    const std::string name = name_of_magic(static_cast<std::uint32_t>(status.f_type));
    out.push_back(entry("file_system", "file system", name, name));
  }
  const bool read_only = (static_cast<unsigned long>(status.f_flags) & ST_RDONLY) != 0;
  out.push_back(entry("file_system_magic", "", status.f_type, ""));
  out.push_back(entry("read_only", "mounted read-only", read_only, read_only ? "yes" : "no"));
  out.push_back(entry("block_size_bytes", "block size", status.f_bsize, fmt::format("{} bytes", status.f_bsize)));
  out.push_back(entry("free_bytes", "free space", free_bytes,
                      fmt::format("{} of {}", format_size(free_bytes), format_size(total_bytes))));
  out.push_back(entry("total_bytes", "", total_bytes, ""));
  // 0 of 0 on file systems that make inodes as they need them (Btrfs).
  out.push_back(status.f_files == 0 ? entry("free_inodes", "free inodes", nullptr, "not limited")
                                    : entry("free_inodes", "free inodes", status.f_ffree,
                                            fmt::format("{} of {}", status.f_ffree, status.f_files)));
  out.push_back(entry("max_name_bytes", "longest name", status.f_namelen, fmt::format("{} bytes", status.f_namelen)));
}

// ------------------------------------------------------------------------------------------- one place

Finding try_unnamed_file(const Place& place) {
  const UniqueFd fd(sys::openat(place.dirfd(), ".", O_TMPFILE | O_RDWR, 0600));
  if (fd) {
    return yes();
  }
  const int errno_value = -sys::openat(place.dirfd(), ".", O_TMPFILE | O_RDWR, 0600);
  if (errno_value == EROFS || errno_value == EACCES || errno_value == EPERM) {
    return {Answer::unknown, errno_value, "nothing can be written there"};
  }
  return refused(errno_value);
}

// A hole in front of data: a file system that keeps no holes, or does not tell, shows none.
Finding try_holes(int fd) {
  constexpr off_t data_offset = off_t{4} << 20U;
  if (const int result = fill(fd, small_sample_bytes, data_offset); result < 0) {
    return refused(-result);
  }
  const off_t data = sys::lseek(fd, 0, SEEK_DATA);
  const off_t hole = sys::lseek(fd, 0, SEEK_HOLE);
  if (data < 0 || hole < 0) {
    return refused(static_cast<int>(data < 0 ? -data : -hole));
  }
  if (hole == 0 && data > 0) {
    return yes();
  }
  return refused(0, "SEEK_HOLE does not report a hole that was made");
}

// The alignment that O_DIRECT needs: told by STATX_DIOALIGN since Linux 6.1, else only whether such an open works.
Finding try_direct_io(int fd) {
  struct statx status = {};
  if (sys::statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, status) == 0 && (status.stx_mask & STATX_DIOALIGN) != 0) {
    if (status.stx_dio_offset_align == 0) {
      return refused(0, "STATX_DIOALIGN says it is not supported");
    }
    return yes(fmt::format("memory aligned to {} bytes, offset and length to {}", status.stx_dio_mem_align,
                           status.stx_dio_offset_align));
  }
  const UniqueFd direct(sys::openat(AT_FDCWD, fmt::format("/proc/self/fd/{}", fd).c_str(), O_RDONLY | O_DIRECT));
  return direct ? yes("alignment not told by this kernel or file system") : refused(EINVAL);
}

Finding try_user_attributes(int fd) { return worked(sys::fsetxattr(fd, "user.ferry.probe", "1", 1)); }

Finding try_trusted_attributes(int fd) {
  const int result = sys::fsetxattr(fd, "trusted.ferry.probe", "1", 1);
  return worked(result, result == -EPERM ? "needs CAP_SYS_ADMIN in the initial user namespace" : "");
}

// A POSIX ACL with a named user, as system.posix_acl_access holds it: version 2, then (tag, permissions, id), little
// endian (linux/posix_acl_xattr.h).
Finding try_acls(int fd) {
  std::string value = "\x02\x00\x00\x00"s;
  const auto add = [&](unsigned tag, unsigned permissions, std::uint32_t id) {
    for (const unsigned number : {tag, permissions}) {
      value += static_cast<char>(number);
      value += '\0';
    }
    for (unsigned shift = 0; shift < 32; shift += 8) {
      value += static_cast<char>((id >> shift) & 0xFFU);
    }
  };
  constexpr std::uint32_t no_id = std::numeric_limits<std::uint32_t>::max();
  add(0x01, 6, no_id);        // ACL_USER_OBJ
  add(0x02, 4, ::geteuid());  // ACL_USER
  add(0x04, 0, no_id);        // ACL_GROUP_OBJ
  add(0x10, 4, no_id);        // ACL_MASK
  add(0x20, 0, no_id);        // ACL_OTHER
  return worked(sys::fsetxattr(fd, "system.posix_acl_access", value.data(), value.size()));
}

// Reading an attribute that is not there: ENODATA where attributes of that kind are known.
Finding ask_attribute(const Place& place, const char* name) {
  const ssize_t result = sys::fgetxattr(place.dirfd(), name, nullptr, 0);
  return result >= 0 || result == -ENODATA ? yes("can be read; writing was not tried")
                                           : refused(static_cast<int>(-result));
}

Finding ask_inode_flags(const Place& place) {
  unsigned flags = 0;
  return worked(sys::get_inode_flags(place.dirfd(), flags));
}

Finding ask_birth_time(const Place& place) {
  struct statx status = {};
  const int result = sys::statx(place.dirfd(), "", AT_EMPTY_PATH, STATX_BTIME, status);
  if (result < 0) {
    return refused(-result);
  }
  return (status.stx_mask & STATX_BTIME) != 0 ? yes() : refused(0, "not recorded");
}

// A name that loses its file at once: does the same name in capitals find it?
Finding try_case_folding(const Place& place) {
  const std::string name = fmt::format(".ferry-probe-{}-x", ::getpid());
  const UniqueFd fd(sys::openat(place.dirfd(), name.c_str(), O_CREAT | O_EXCL | O_RDWR, 0600));
  if (!fd) {
    return {Answer::unknown, 0, "nothing can be written there"};
  }
  std::string capitals = name;
  capitals.back() = 'X';
  struct statx status = {};
  const int found = sys::statx(place.dirfd(), capitals.c_str(), AT_SYMLINK_NOFOLLOW, STATX_INO, status);
  (void)sys::unlinkat(place.dirfd(), name.c_str(), 0);
  return found == 0 ? yes("names differing only in case are one name") : refused(0);
}

void add_what_is_tried_on_a_file(const Place& place, Entries& out) {
  struct Question {
    const char* key;
    const char* label;
    Finding (*answer)(int fd);
  };
  constexpr std::array questions = {
      Question{"holes", "holes", [](int fd) { return try_holes(fd); }},
      Question{"preallocation", "preallocation",
               [](int fd) { return worked(sys::fallocate(fd, 0, 0, off_t{small_sample_bytes})); }},
      Question{"direct_io", "O_DIRECT", [](int fd) { return try_direct_io(fd); }},
      Question{"user_attributes", "user xattrs", [](int fd) { return try_user_attributes(fd); }},
      Question{"trusted_attributes", "trusted xattrs", [](int fd) { return try_trusted_attributes(fd); }},
      Question{"acls", "POSIX ACLs", [](int fd) { return try_acls(fd); }},
  };
  for (const Question& question : questions) {
    const Result<UniqueFd> file = place.make_file();
    out.push_back(entry(question.key, question.label, file ? question.answer(file->get()) : unknown(file.error())));
  }
}

// What can be learnt of a place where no file can be made.
void add_what_can_be_read(const Place& place, const Error& why, Entries& out) {
  out.push_back(entry("holes", "holes", unknown(why)));
  out.push_back(entry("preallocation", "preallocation", unknown(why)));
  const Result<UniqueFd> file = place.source_file(0);
  out.push_back(entry("direct_io", "O_DIRECT", file ? try_direct_io(file->get()) : unknown(why)));
  out.push_back(entry("user_attributes", "user xattrs", ask_attribute(place, "user.ferry.probe")));
  out.push_back(entry("trusted_attributes", "trusted xattrs", ask_attribute(place, "trusted.ferry.probe")));
  out.push_back(entry("acls", "POSIX ACLs", ask_attribute(place, "system.posix_acl_access")));
}

// ------------------------------------------------------------------------------------------- a pair

// A source with bytes in it and an empty destination.
struct Files {
  UniqueFd from;
  UniqueFd to;
};

Result<Files> make_files(const Place& from, const Place& to, std::size_t bytes) {
  Result<UniqueFd> source = from.source_file(bytes);
  if (!source) {
    return std::unexpected(source.error());
  }
  Result<UniqueFd> destination = to.make_file();
  if (!destination) {
    return std::unexpected(destination.error());
  }
  return Files{std::move(*source), std::move(*destination)};
}

Finding moved(long result) {
  if (result == 0) {
    return refused(0, "moved nothing and called it success");
  }
  return worked(result);
}

Finding try_splice(const Files& files) {
  std::array<int, 2> ends = {-1, -1};
  if (const int result = sys::pipe2(ends.data(), 0); result < 0) {
    return refused(-result, "pipe2");
  }
  const UniqueFd read_end(ends[0]);
  const UniqueFd write_end(ends[1]);
  const ssize_t filled = sys::splice(files.from.get(), nullptr, write_end.get(), nullptr, small_sample_bytes, 0);
  if (filled <= 0) {
    return moved(filled);
  }
  return moved(sys::splice(read_end.get(), nullptr, files.to.get(), nullptr, static_cast<std::size_t>(filled), 0));
}

void add_kernel_ways(const Place& from, const Place& to, Entries& out) {
  struct Question {
    const char* key;
    const char* label;
    Finding (*answer)(const Files& files);
  };
  constexpr std::array questions = {
      Question{"reflink", "reflink",
               [](const Files& files) { return worked(sys::ficlone(files.to.get(), files.from.get())); }},
      Question{"copy_file_range", "copy_file_range",
               [](const Files& files) {
                 return moved(
                     sys::copy_file_range(files.from.get(), nullptr, files.to.get(), nullptr, small_sample_bytes));
               }},
      Question{"splice", "splice", [](const Files& files) { return try_splice(files); }},
      Question{"sendfile", "sendfile",
               [](const Files& files) {
                 return moved(sys::sendfile(files.to.get(), files.from.get(), nullptr, small_sample_bytes));
               }},
  };
  for (const Question& question : questions) {
    const Result<Files> files = make_files(from, to, sample_bytes);
    out.push_back(entry(question.key, question.label, files ? question.answer(*files) : unknown(files.error())));
  }
}

Finding ask_one_file_system(const Place& from, const Place& to) {
  struct statx a = {};
  struct statx b = {};
  if (sys::statx(from.dirfd(), "", AT_EMPTY_PATH, STATX_INO, a) < 0 ||
      sys::statx(to.dirfd(), "", AT_EMPTY_PATH, STATX_INO, b) < 0) {
    return {};
  }
  const bool same = a.stx_dev_major == b.stx_dev_major && a.stx_dev_minor == b.stx_dev_minor;
  return same ? yes() : refused(0);
}

// What ferry itself does with a file of this size here: really copied, so that the answer is the engine's own.
Result<CopyReport> copy_as_ferry_does(const Place& from, const Place& to, std::size_t bytes) {
  Result<Files> files = make_files(from, to, bytes);
  if (!files) {
    return std::unexpected(files.error());
  }
  struct statx source = {};
  struct statx destination = {};
  if (const int result = sys::statx(files->from.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, source); result < 0) {
    return fail(-result, "statx", from.directory());
  }
  if (const int result = sys::statx(files->to.get(), "", AT_EMPTY_PATH, STATX_INO, destination); result < 0) {
    return fail(-result, "statx", to.directory());
  }
  const dev_t device = ::makedev(destination.stx_dev_major, destination.stx_dev_minor);
  return FileCopier(CopyOptions{}).copy(files->from.get(), source, files->to.get(), 0, device);
}

Entry choice_entry(const char* key, const char* label, const Result<CopyReport>& report) {
  nlohmann::ordered_json json = {{"method", nullptr}};
  if (!report) {
    json["error"] = report.error().to_string();
    return entry(key, label, json, "unknown: " + report.error().to_string());
  }
  const std::optional<CopyMethod> method = report->method();
  std::string text = method ? std::string(to_string(*method)) : "nothing to move";
  if (method) {
    json["method"] = to_string(*method);
  }
  for (std::size_t i = 0; i < copy_method_count; ++i) {
    if (const int refusal = report->refused_errno.at(i); refusal != 0) {
      const std::string_view name = to_string(static_cast<CopyMethod>(i));
      json["refused"][std::string(name)] = refusal;
      text += fmt::format("; {} refused: {}", name, words(refusal));
    }
  }
  return entry(key, label, json, text);
}

void add_choices(const Place& from, const Place& to, Entries& out) {
  out.push_back(choice_entry("small_files", "ferry, small files", copy_as_ferry_does(from, to, small_sample_bytes)));
  out.push_back(choice_entry("large_files", "ferry, large files", copy_as_ferry_does(from, to, sample_bytes)));
}

}  // namespace

// ------------------------------------------------------------------------------------------- public

Entry entry(std::string key, std::string label, nlohmann::ordered_json json, std::string text) {
  return {std::move(key), std::move(label), std::move(json), std::move(text)};
}

Entry entry(std::string key, std::string label, const Finding& finding) {
  constexpr std::array names = {"yes", "no", "unknown"};
  std::string text = names.at(static_cast<std::size_t>(finding.answer));
  nlohmann::ordered_json json;
  json["works"] = finding.answer == Answer::unknown ? nlohmann::ordered_json(nullptr)
                                                    : nlohmann::ordered_json(finding.answer == Answer::yes);
  const std::string reason = finding.errno_value == 0 ? "" : words(finding.errno_value);
  if (finding.errno_value != 0) {
    json["errno"] = finding.errno_value;
    json["error"] = reason;
  }
  if (!finding.note.empty()) {
    json["note"] = finding.note;
  }
  if (!reason.empty() || !finding.note.empty()) {
    text += ": " + finding.note + (reason.empty() || finding.note.empty() ? reason : " (" + reason + ")");
  }
  return entry(std::move(key), std::move(label), std::move(json), std::move(text));
}

Result<Place> Place::open(const std::string& path) {
  Place place;
  place.path_ = path;
  place.directory_ = path;
  constexpr int directory_flags = O_RDONLY | O_DIRECTORY;
  int fd = sys::openat(AT_FDCWD, path.c_str(), directory_flags);
  if (fd == -ENOTDIR && !path.ends_with('/')) {
    struct statx status = {};
    if (const int result = sys::statx(AT_FDCWD, path.c_str(), 0, STATX_TYPE, status); result < 0) {
      return fail(-result, "statx", path);
    }
    // The directory that holds the file itself, not a symlink to it: the file system is the file's.
    std::error_code error;
    const std::filesystem::path real = std::filesystem::canonical(path, error);
    if (error) {
      return fail(error.value(), "realpath", path);
    }
    place.directory_ = real.parent_path().string();
    fd = sys::openat(AT_FDCWD, place.directory_.c_str(), directory_flags);
  }
  if (fd < 0) {
    return fail(-fd, "openat", path);
  }
  place.directory_fd_.reset(fd);
  return place;
}

Result<UniqueFd> Place::make_file() const {
  int fd = sys::openat(dirfd(), ".", O_TMPFILE | O_RDWR, 0600);
  if (fd >= 0) {
    return UniqueFd(fd);
  }
  const std::string name = fmt::format(".ferry-probe-{}", ::getpid());
  fd = sys::openat(dirfd(), name.c_str(), O_CREAT | O_EXCL | O_RDWR, 0600);
  if (fd < 0) {
    return fail(-fd, "openat", directory_);
  }
  UniqueFd file(fd);
  if (const int result = sys::unlinkat(dirfd(), name.c_str(), 0); result < 0) {
    return fail(-result, "unlinkat", directory_ + "/" + name);
  }
  return file;
}

Result<UniqueFd> Place::source_file(std::size_t bytes) const {
  Result<UniqueFd> file = make_file();
  if (file) {
    if (const int result = fill(file->get(), bytes); result < 0) {
      return fail(-result, "pwrite", directory_);
    }
    return file;
  }
  struct statx status = {};
  if (is_directory() || sys::statx(AT_FDCWD, path_.c_str(), 0, STATX_TYPE, status) < 0 || !S_ISREG(status.stx_mode)) {
    return file;
  }
  const int fd = sys::openat(AT_FDCWD, path_.c_str(), O_RDONLY);
  return fd < 0 ? Result<UniqueFd>(fail(-fd, "openat", path_)) : Result<UniqueFd>(UniqueFd(fd));
}

Entries examine(const Place& place) {
  Entries out;
  add_file_system(place, out);
  const Result<UniqueFd> file = place.make_file();
  out.push_back(entry("writable", "can be written", file ? yes() : refused(file.error().errno_value())));
  out.push_back(entry("unnamed_files", "O_TMPFILE", try_unnamed_file(place)));
  if (file) {
    add_what_is_tried_on_a_file(place, out);
  } else {
    add_what_can_be_read(place, file.error(), out);
  }
  out.push_back(entry("inode_flags", "inode flags", ask_inode_flags(place)));
  out.push_back(entry("birth_time", "birth time", ask_birth_time(place)));
  out.push_back(entry("case_folding", "case folding", try_case_folding(place)));
  return out;
}

Entries examine_pair(const Place& from, const Place& to) {
  Entries out;
  out.push_back(entry("one_file_system", "one file system", ask_one_file_system(from, to)));
  add_kernel_ways(from, to, out);
  add_choices(from, to, out);
  return out;
}

}  // namespace ferry::cli::probe
