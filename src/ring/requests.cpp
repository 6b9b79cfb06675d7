#include "ring/requests.hpp"

#include <poll.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>

#include "base/sys.hpp"

namespace ferry {
namespace {

template <typename... Functions>
struct Overloaded : Functions... {
  using Functions::operator()...;
};

off_t as_offset(std::uint64_t value) noexcept { return static_cast<off_t>(value); }

off_t* offset_or_position(off_t& offset) noexcept { return offset < 0 ? nullptr : &offset; }

std::size_t step(std::size_t left) noexcept { return std::min(left, detail::most_bytes_at_once); }

std::int64_t read_on(const request::Read& r, std::uint64_t moved) noexcept {
  std::byte* const to = r.buffer.data() + moved;
  const std::size_t length = step(r.buffer.size() - moved);
  return r.offset == at_position ? sys::read(r.fd, to, length)
                                 : sys::pread(r.fd, to, length, as_offset(r.offset + moved));
}

std::int64_t write_on(const request::Write& w, std::uint64_t moved) noexcept {
  const std::byte* const from = w.buffer.data() + moved;
  const std::size_t length = step(w.buffer.size() - moved);
  if (w.offset == at_position) {
    // What poll(2) promises room for in a pipe (pipe(7)): more would block this thread.
    return sys::write(w.fd, from, std::min<std::size_t>(length, PIPE_BUF));
  }
  return sys::pwrite(w.fd, from, length, as_offset(w.offset + moved));
}

std::int64_t splice_once(const request::Splice& s) noexcept {
  off_t from = as_offset(s.in_offset);
  off_t to = as_offset(s.out_offset);
  return sys::splice(s.in, offset_or_position(from), s.out, offset_or_position(to), step(s.length),
                     s.flags | SPLICE_F_NONBLOCK);
}

std::int64_t copy_once(const request::CopyFileRange& c) noexcept {
  off_t from = as_offset(c.in_offset);
  off_t to = as_offset(c.out_offset);
  return sys::copy_file_range(c.in, &from, c.out, &to, step(c.length));
}

}  // namespace

namespace detail {

std::int64_t perform(const Request& request, std::uint64_t moved) noexcept {
  return std::visit(
      Overloaded{
          [](const request::Open& r) -> std::int64_t { return sys::openat(r.dirfd, r.path, r.flags, r.mode); },
          [&](const request::Read& r) { return read_on(r, moved); },
          [&](const request::Write& r) { return write_on(r, moved); },
          [](const request::ReadVector& r) -> std::int64_t {
            return sys::preadv(r.fd, r.vectors.data(), static_cast<int>(r.vectors.size()), as_offset(r.offset));
          },
          [](const request::WriteVector& r) -> std::int64_t {
            return sys::pwritev(r.fd, r.vectors.data(), static_cast<int>(r.vectors.size()), as_offset(r.offset));
          },
          [](const request::Sync& r) -> std::int64_t { return r.data_only ? sys::fdatasync(r.fd) : sys::fsync(r.fd); },
          [](const request::Stat& r) -> std::int64_t { return sys::statx(r.dirfd, r.path, r.flags, r.mask, *r.out); },
          [](const request::Allocate& r) -> std::int64_t {
            return sys::fallocate(r.fd, r.mode, as_offset(r.offset), as_offset(r.length));
          },
          [](const request::Unlink& r) -> std::int64_t { return sys::unlinkat(r.dirfd, r.path, r.flags); },
          [](const request::Rename& r) -> std::int64_t {
            return sys::renameat2(r.old_dirfd, r.old_path, r.new_dirfd, r.new_path, r.flags);
          },
          [](const request::MakeDirectory& r) -> std::int64_t { return sys::mkdirat(r.dirfd, r.path, r.mode); },
          [](const request::Link& r) -> std::int64_t {
            return sys::linkat(r.old_dirfd, r.old_path, r.new_dirfd, r.new_path, r.flags);
          },
          [](const request::Symlink& r) -> std::int64_t { return sys::symlinkat(r.target, r.dirfd, r.path); },
          [](const request::Splice& r) { return splice_once(r); },
          [](const request::CopyFileRange& r) { return copy_once(r); },
          [](const request::Close& r) -> std::int64_t { return sys::close(r.fd); },
          // Not for a thread: what the loop does itself.
          [](const request::Nop&) -> std::int64_t { return 0; },
          [](const request::ReadManaged&) -> std::int64_t { return -EINVAL; },
          [](const request::Timer&) -> std::int64_t { return -EINVAL; },
          [](const request::RepeatingTimer&) -> std::int64_t { return -EINVAL; },
      },
      request);
}

std::uint64_t bytes_wanted(const Request& request) noexcept {
  if (const auto* const read = std::get_if<request::Read>(&request)) {
    return read->buffer.size();
  }
  const auto* const write = std::get_if<request::Write>(&request);
  return write == nullptr ? 0 : write->buffer.size();
}

bool is_write(const Request& request) noexcept { return std::holds_alternative<request::Write>(request); }

namespace {

// Of the pipes of a splice, the one that is not ready.
Readiness splice_waits_for(const request::Splice& s) noexcept {
  const bool in_is_pipe = s.in_offset == at_position;
  const bool out_is_pipe = s.out_offset == at_position;
  if (in_is_pipe && out_is_pipe) {
    pollfd in = {s.in, POLLIN, 0};
    return sys::poll(&in, 1, 0) > 0 ? Readiness{s.out, POLLOUT} : Readiness{s.in, POLLIN};
  }
  return in_is_pipe ? Readiness{s.in, POLLIN} : out_is_pipe ? Readiness{s.out, POLLOUT} : Readiness{};
}

}  // namespace

Readiness readiness_needed(const Request& request) noexcept {
  return std::visit(Overloaded{
                        [](const request::Read& r) { return Readiness{r.offset == at_position ? r.fd : -1, POLLIN}; },
                        [](const request::Write& r) { return Readiness{r.offset == at_position ? r.fd : -1, POLLOUT}; },
                        [](const request::Splice& r) { return splice_waits_for(r); },
                        [](const auto&) { return Readiness{}; },
                    },
                    request);
}

bool uses(const Request& request, int fd) noexcept {
  return std::visit(Overloaded{
                        [&](const request::Splice& r) { return r.in == fd || r.out == fd; },
                        [&](const request::CopyFileRange& r) { return r.in == fd || r.out == fd; },
                        [&](const auto& r) {
                          if constexpr (requires { r.fd; }) {
                            return r.fd == fd;
                          } else {
                            return false;
                          }
                        },
                    },
                    request);
}

}  // namespace detail

const char* operation_name(const Request& request) noexcept {
  constexpr std::array<const char*, std::variant_size_v<Request>> names = {
      "nop",       "openat", "pread",           "pwrite",   "pread",     "preadv",  "pwritev",
      "fsync",     "statx",  "fallocate",       "unlinkat", "renameat2", "mkdirat", "linkat",
      "symlinkat", "splice", "copy_file_range", "close",    "timer",     "timer"};
  if (const auto* const sync = std::get_if<request::Sync>(&request); sync != nullptr && sync->data_only) {
    return "fdatasync";
  }
  return names[request.index()];
}

}  // namespace ferry
