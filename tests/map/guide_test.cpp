// The examples of docs/map.md, compiled and run. What stands between "guide:" and "guide end" is the guide's text:
// tests/project/map_guide.sh compares.
#include <sys/wait.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "map/bytes.hpp"

namespace ferry::testing {
namespace {

class MapGuide : public ::testing::Test {
 protected:
  MapGuide() { write_file(path, "hello, world"); }
  Scratch scratch;
  std::string path = scratch.path("file");
  std::string fresh = scratch.path("fresh");
};

ferry::Result<std::size_t> count_lines(const std::string& path) {
  // guide: read a file
  auto map = ferry::MappedFile::open_read_only(path);
  if (!map) {
    return std::unexpected(map.error());  // to_string(): "openat 'data.bin': No such file or directory"
  }
  auto view = map->view(0, map->size());  // pinned: valid as long as it lives, whatever happens to the size
  if (!view) {
    return std::unexpected(view.error());
  }
  return std::ranges::count(view->text(), '\n');
  // guide end
}

TEST_F(MapGuide, reads_a_file) {
  write_file(path, "a\nb\n");
  EXPECT_EQ(count_lines(path), 2U);
  EXPECT_EQ(errno_of(count_lines(fresh)), ENOENT);
}

ferry::Result<void> create_and_write(const std::string& path) {
  // guide: create and write
  // Preallocated: a full disk is an error here, not a SIGBUS later.
  auto map = ferry::MappedFile::create(path, 1 << 20, {.mode = ferry::MapMode::read_write, .preallocate = true});
  if (!map) {
    return std::unexpected(map.error());
  }
  if (auto done = map->update(100, std::as_bytes(std::span("hello"))); !done) {
    return done;
  }
  return map->flush(ferry::Durability::data);  // on storage when this returns
  // guide end
}

TEST_F(MapGuide, creates_and_writes) {
  must(create_and_write(fresh));
  EXPECT_EQ(read_file(fresh).substr(100, 5), "hello");
}

ferry::Result<void> use_segments(ferry::MappedFile& map) {
  // guide: segments
  auto header = map.mutable_segment(0, 5);  // checked at each use, so right over every resize
  if (!header) {
    return std::unexpected(header.error());
  }
  if (auto grown = map.resize(8192); !grown) {  // moves nothing: views stay valid
    return grown;
  }
  return header->update(0, std::as_bytes(std::span("HELLO", 5)));
  // guide end
}

TEST_F(MapGuide, uses_segments) {
  auto map = must(MappedFile::open(path, read_write));
  must(use_segments(map));
  EXPECT_EQ(read_file(path).substr(0, 12), "HELLO, world");
}

ferry::Result<std::uint64_t> next_ticket(ferry::MappedFile& map) {
  // guide: atomic counter
  auto counter = map.atomic<std::uint64_t>(0);  // take it once, keep it; EINVAL if it were not aligned
  if (!counter) {
    return std::unexpected(counter.error());
  }
  return counter->fetch_add(1);
  // guide end
}

TEST_F(MapGuide, counts) {
  auto map = must(MappedFile::create(fresh, 64, read_write));
  EXPECT_EQ(next_ticket(map), 0U);
  EXPECT_EQ(next_ticket(map), 1U);
}

// guide: log appender
// The first 8 bytes hold the end of the log; any number of threads append. Needs a map that was preallocated.
ferry::Result<void> append(ferry::MappedFile& log, std::string_view line) {
  auto end = log.atomic<std::uint64_t>(0);
  if (!end) {
    return std::unexpected(end.error());
  }
  const std::uint64_t at = 8 + end->fetch_add(line.size());
  return log.update(at, std::as_bytes(std::span(line)));  // ERANGE: the log is full
}
// guide end

TEST_F(MapGuide, appends_to_a_log) {
  auto log = must(MappedFile::create(fresh, 8 + 20, read_write));
  must(append(log, "one\n"));
  must(append(log, "two\n"));
  EXPECT_EQ(must(log.view(8, 8)).text(), "one\ntwo\n");
  EXPECT_EQ(errno_of(append(log, "much too long a line")), ERANGE);
}

ferry::Result<unsigned> checksum(const ferry::MappedFile& map) {
  // guide: chunked processing
  unsigned sum = 0;
  auto chunks = map.data_chunks(1 << 20);  // chunks() for all of it; this one skips holes
  if (!chunks) {
    return std::unexpected(chunks.error());
  }
  for (const ferry::DataChunk& chunk : *chunks) {
    for (const std::byte each : chunk.bytes) {
      sum += std::to_integer<unsigned>(each);
    }
  }
  return sum;
  // guide end
}

TEST_F(MapGuide, works_through_chunks) { EXPECT_EQ(checksum(must(MappedFile::open(path, {}))), 1160U); }

TEST_F(MapGuide, watches) {
  std::mutex mutex;
  std::condition_variable changed;
  bool seen = false;
  const auto reload = [&] {
    const std::scoped_lock lock(mutex);
    seen = true;
    changed.notify_all();
  };
  auto map = must(MappedFile::open(path, {}));
  // guide: watching
  auto watch = map.watch([&](const ferry::FileChange& change) {
    if (change.kind == ferry::FileChangeKind::modified) {
      reload();
    }
  });  // until `watch` is destroyed
  // guide end
  ASSERT_TRUE(watch);
  std::ofstream(path, std::ios::app) << "more";
  std::unique_lock lock(mutex);
  EXPECT_TRUE(changed.wait_for(lock, std::chrono::minutes(1), [&] { return seen; }));
}

ferry::Result<std::uint64_t> huge_bytes(const std::string& path) {
  // guide: huge pages
  auto map =
      ferry::MappedFile::open(path, {.mode = ferry::MapMode::read_write, .huge_pages = ferry::HugePages::automatic});
  if (!map) {
    return std::unexpected(map.error());
  }
  auto report = map->huge_page_report();  // what was got: hugetlbfs, transparent or ordinary, and how much of it
  if (!report) {
    return std::unexpected(report.error());
  }
  return report->huge_bytes;
  // guide end
}

TEST_F(MapGuide, asks_for_huge_pages) { EXPECT_EQ(huge_bytes(path), 0U); }

// guide: asynchronous writes
ferry::Task<ferry::Result<void>> save(ferry::Loop& loop, ferry::MappedFile& map, std::string_view text) {
  co_return co_await map.update_async(loop, 0, std::as_bytes(std::span(text)));  // written, and on storage
}
// guide end

TEST_F(MapGuide, writes_on_a_loop) {
  auto loop = must(Loop::create());
  auto map = must(MappedFile::open(path, read_write));
  must(must(run(loop, save(loop, map, "HELLO"))));
  EXPECT_EQ(read_file(path), "HELLO, world");
  EXPECT_EQ(map.pending_bytes(), 0U);
}

ferry::Result<void> work_in_parallel(const std::string& path) {
  // guide: shared state between processes
  auto map = ferry::MappedFile::open_or_create(path, 4096);  // each process opens the same file
  if (!map) {
    return std::unexpected(map.error());
  }
  auto done = map->atomic<std::uint32_t>(0);
  if (!done) {
    return std::unexpected(done.error());
  }
  done->fetch_add(1);  // std::atomic_ref over shared memory
  return {};
  // guide end
}

TEST_F(MapGuide, shares_state_between_processes) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::_exit(work_in_parallel(fresh) ? 0 : 1);
  }
  must(work_in_parallel(fresh));
  int status = 1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(must(must(MappedFile::open_read_only(fresh)).atomic_load<std::uint32_t>(0)), 2U);
}

ferry::Result<void> read_what_may_shrink(const ferry::MappedFile& map, std::span<std::byte> buffer) {
  // guide: files that others truncate
  return map.try_read(0, buffer);  // ENXIO instead of a SIGBUS; guarded() does it for any function
  // guide end
}

TEST_F(MapGuide, survives_a_truncated_file) {
  const auto map = must(MappedFile::open(path, {}));
  ASSERT_EQ(::truncate(path.c_str(), 0), 0);
  std::array<std::byte, 5> buffer{};
  EXPECT_EQ(errno_of(read_what_may_shrink(map, buffer)), ENXIO);
}

}  // namespace
}  // namespace ferry::testing
