// readFile and read: what is large lands in memory of our own, which becomes the Buffer without a copy.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <string>

#include "background.hpp"
#include "bindings.hpp"
#include "memory.hpp"
#include "values.hpp"

namespace ferry_node {
namespace {

// Up to here copying costs less than an external ArrayBuffer and its finalizer.
constexpr std::size_t largest_copied_bytes = std::size_t{64} << 10U;
constexpr std::size_t most_bytes = std::size_t{1} << 32U;

// Bytes that were read, in memory that may be larger.
struct Content {
  std::shared_ptr<Memory> memory;
  std::size_t size = 0;
};

// Reads until the end, at most `room`; at `offset`, or at the descriptor's position if that is negative. The number of
// bytes, or -errno.
ssize_t read_fully(int fd, std::byte* to, std::size_t room, off_t offset) {
  std::size_t done = 0;
  while (done < room) {
    const ssize_t got = offset < 0 ? ::read(fd, to + done, room - done)
                                   : ::pread(fd, to + done, room - done, offset + static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return -errno;
    }
    if (got == 0) {
      break;
    }
    done += static_cast<std::size_t>(got);
  }
  return static_cast<ssize_t>(done);
}

Outcome<Content> read_range(int fd, std::uint64_t offset, std::uint64_t length) {
  struct ::stat status = {};
  if (::fstat(fd, &status) != 0) {
    return failed(errno, "fstat");
  }
  std::uint64_t room = std::min<std::uint64_t>(length, most_bytes);
  if (S_ISREG(status.st_mode) && status.st_size > 0) {  // there is not more, and a caller may ask for "all"
    const auto size = static_cast<std::uint64_t>(status.st_size);
    room = std::min(room, offset >= size ? 0 : size - offset);
  }
  Content content{.memory = allocate(room, false)};
  if (content.memory == nullptr) {
    return failed(ENOMEM, "read");
  }
  const ssize_t got = read_fully(fd, content.memory->data(), room, static_cast<off_t>(offset));
  if (got < 0) {
    return failed(static_cast<int>(-got), "read");
  }
  content.size = static_cast<std::size_t>(got);
  return content;
}

// A file whose size says nothing (procfs, a pipe), or that grows: read on with twice the room.
Outcome<Content> read_to_end(int fd, Content content) {
  while (true) {
    const std::size_t room = std::max(content.memory->size() * 2, largest_copied_bytes);
    if (room > most_bytes) {
      return failed(EFBIG, "read");
    }
    Content larger{.memory = allocate(room, false), .size = content.size};
    if (larger.memory == nullptr) {
      return failed(ENOMEM, "read");
    }
    std::copy_n(content.memory->data(), content.size, larger.memory->data());
    const ssize_t got = read_fully(fd, larger.memory->data() + larger.size, room - larger.size, -1);
    if (got < 0) {
      return failed(static_cast<int>(-got), "read");
    }
    larger.size += static_cast<std::size_t>(got);
    if (larger.size < room) {
      return larger;
    }
    content = std::move(larger);
  }
}

Outcome<Content> read_whole(const std::string& path) {
  const ferry::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) {
    return failed(errno, "open", path);
  }
  struct ::stat status = {};
  if (::fstat(fd.get(), &status) != 0) {
    return failed(errno, "fstat", path);
  }
  const std::size_t size = S_ISREG(status.st_mode) ? static_cast<std::size_t>(status.st_size) : 0;
  if (size > most_bytes) {
    return failed(EFBIG, "read", path);
  }
  Content content{.memory = allocate(size, false)};
  if (content.memory == nullptr) {
    return failed(ENOMEM, "read", path);
  }
  const ssize_t got = read_fully(fd.get(), content.memory->data(), size, -1);
  if (got < 0) {
    return failed(static_cast<int>(-got), "read", path);
  }
  content.size = static_cast<std::size_t>(got);
  if (content.size < size) {
    return content;  // it was shortened
  }
  std::array<std::byte, 1> more = {};
  const ssize_t further = read_fully(fd.get(), more.data(), more.size(), -1);
  if (further < 0) {
    return failed(static_cast<int>(-further), "read", path);
  }
  if (further == 0) {
    return content;
  }
  Content with_more{.memory = allocate(content.size + 1, false), .size = content.size + 1};
  if (with_more.memory == nullptr) {
    return failed(ENOMEM, "read", path);
  }
  std::copy_n(content.memory->data(), content.size, with_more.memory->data());
  with_more.memory->data()[content.size] = more[0];
  auto all = read_to_end(fd.get(), std::move(with_more));
  if (!all) {
    all.error().path = path;
  }
  return all;
}

// [arrayBuffer, bytes] (an ArrayBuffer over native memory), a Buffer (a copy), or a failure.
Napi::Value content_value(Napi::Env env, const Outcome<Content>& content) {
  if (!content) {
    return to_value(env, content.error());
  }
  if (content->size <= largest_copied_bytes) {
    return Napi::Buffer<std::byte>::Copy(env, content->memory->data(), content->size).As<Napi::Value>();
  }
  const Napi::Array pair = Napi::Array::New(env, 3);
  pair.Set(0U, array_buffer_over(env, content->memory));
  pair.Set(1U, MemoryHandle::make(env, content->memory));
  pair.Set(2U, Napi::Number::New(env, static_cast<double>(content->size)));
  return pair;
}

// readFileSync(path), readFile(path)
Napi::Value read_file_sync(const Napi::CallbackInfo& info) {
  return content_value(info.Env(), read_whole(path_of(info, 0)));
}
Napi::Value read_file_async(const Napi::CallbackInfo& info) {
  return Background::of(info.Env())
      .run(info.Env(), {}, [path = path_of(info, 0)] { return read_whole(path); }, content_value);
}

// readSync(fd, offset, length), read(fd, offset, length)
Napi::Value read_sync(const Napi::CallbackInfo& info) {
  return content_value(info.Env(), read_range(descriptor_of(info, 0), bytes_of(info, 1), bytes_of(info, 2)));
}
Napi::Value read_async(const Napi::CallbackInfo& info) {
  return Background::of(info.Env())
      .run(
          info.Env(), {},
          [fd = descriptor_of(info, 0), offset = bytes_of(info, 1), length = bytes_of(info, 2)] {
            return read_range(fd, offset, length);
          },
          content_value);
}

}  // namespace

void export_read_file(Napi::Env env, Napi::Object exports) {
  exports.Set("readFileSync", Napi::Function::New<read_file_sync>(env, "readFileSync"));
  exports.Set("readFile", Napi::Function::New<read_file_async>(env, "readFile"));
  exports.Set("readSync", Napi::Function::New<read_sync>(env, "readSync"));
  exports.Set("read", Napi::Function::New<read_async>(env, "read"));
}

}  // namespace ferry_node
