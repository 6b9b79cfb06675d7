#include "mpi/start_checks.hpp"

#include "base/sys.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <thread>

#include <fmt/format.h>

namespace ferry {
namespace {

std::string first_line_of(const char* path) {
  const UniqueFd file(sys::openat(AT_FDCWD, path, O_RDONLY));
  std::array<char, 256> buffer = {};
  const ssize_t length = file ? sys::read(file.get(), buffer.data(), buffer.size()) : 0;
  const std::string text(buffer.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
  return text.substr(0, text.find('\n'));
}

}  // namespace

RankFacts rank_facts(std::string command_line, unsigned umask) {
  return {.version = std::string(version()),
          .command_line = std::move(command_line),
          .identity = fmt::format("uid {}, gid {}, umask {:04o}", ::geteuid(), ::getegid(), umask),
          .machine = first_line_of("/proc/sys/kernel/random/boot_id"),
          .host = first_line_of("/proc/sys/kernel/hostname")};
}

namespace mpi {

std::string difference(const RankFacts& first, const RankFacts& other, int number) {
  const auto tell = [&](const char* what, const std::string& here, const std::string& there) {
    return here == there ? std::string()
                         : fmt::format("rank {} on {} {} {}, but rank 0 on {} {}", number, other.host, what, there,
                                       first.host, here);
  };
  if (std::string text = tell("is ferry", first.version, other.version); !text.empty()) {
    return text;
  }
  if (first.command_line != other.command_line) {
    return fmt::format("rank {} on {} was started with other arguments than rank 0 on {}", number, other.host,
                       first.host);
  }
  return tell("runs as", first.identity, other.identity);
}

namespace {

OperandView::Side look(const std::string& path) {
  struct statx status = {};
  int result = sys::statx(AT_FDCWD, path.c_str(), 0, STATX_BASIC_STATS | STATX_BTIME, status);
  if (result == -ENOENT) {  // a symlink that leads nowhere
    result = sys::statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, status);
  }
  if (result < 0) {
    return {.error = -result};
  }
  constexpr std::int64_t second = 1'000'000'000;
  const bool has_birth = (status.stx_mask & STATX_BTIME) != 0;
  return {.error = 0,
          .type = status.stx_mode & static_cast<std::uint32_t>(S_IFMT),
          .device = makedev(status.stx_dev_major, status.stx_dev_minor),
          .inode = status.stx_ino,
          .born_ns = has_birth ? status.stx_btime.tv_sec * second + status.stx_btime.tv_nsec : 0};
}

std::string parent_of(const std::string& path) {
  const std::size_t last = path.find_last_not_of('/');
  const std::size_t slash = last == std::string::npos ? 0 : path.rfind('/', last);
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

bool is_same(const OperandView::Side& a, const OperandView::Side& b, bool same_machine) {
  const bool ages_differ = a.born_ns != 0 && b.born_ns != 0 && a.born_ns != b.born_ns;
  return a.error == b.error && a.type == b.type && a.inode == b.inode && !ages_differ &&
         (!same_machine || a.device == b.device);
}

}  // namespace

std::vector<OperandView> look_at(std::span<const TreeOperand> operands) {
  std::vector<OperandView> views;
  for (const TreeOperand& operand : operands) {
    OperandView& view = views.emplace_back(OperandView{operand, look(operand.source), look(operand.destination)});
    if (view.destination.error == ENOENT) {
      view.destination = look(parent_of(operand.destination));
    }
  }
  return views;
}

std::string difference(const std::vector<OperandView>& first, const std::vector<OperandView>& own, bool same_machine) {
  for (std::size_t i = 0; i < first.size(); ++i) {
    if (!is_same(first[i].source, own[i].source, same_machine)) {
      return fmt::format("the source {} is another file or directory", ferry::quoted(first[i].operand.source));
    }
    if (!is_same(first[i].destination, own[i].destination, same_machine)) {
      return fmt::format("the destination {} is in another place", ferry::quoted(first[i].operand.destination));
    }
  }
  return {};
}

std::string make_probe(const TreeOperand& operand) {
  const auto random = std::chrono::steady_clock::now().time_since_epoch().count();
  const std::string name = fmt::format(
      ".ferry-{:016x}.tmp", static_cast<std::uint64_t>(random) ^ (static_cast<std::uint64_t>(::getpid()) << 40U));
  for (const std::string& directory : {operand.destination, parent_of(operand.destination)}) {
    std::string path = fmt::format("{}/{}", directory, name);
    const UniqueFd probe(sys::openat(AT_FDCWD, path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, 0600));
    if (probe) {
      return path;
    }
  }
  return {};
}

void remove_probe(const std::string& path) { (void)sys::unlinkat(AT_FDCWD, path.c_str(), 0); }

bool finds_probe(const std::string& path) {
  constexpr std::chrono::seconds patience{5};
  const auto end = std::chrono::steady_clock::now() + patience;
  for (;;) {
    struct statx status = {};
    if (sys::statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, STATX_INO, status) == 0) {
      return true;
    }
    if (std::chrono::steady_clock::now() > end) {
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

}  // namespace mpi
}  // namespace ferry
