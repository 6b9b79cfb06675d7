// Watching a file for changes.
#include <condition_variable>
#include <mutex>
#include <thread>

#include "map/bytes.hpp"
#include "support/fault_plan.hpp"

namespace ferry::testing {
namespace {

using sys::Call;
using namespace std::chrono_literals;

class Changes {
 public:
  void add(const FileChange& change) {
    const std::scoped_lock lock(mutex_);
    changes_.push_back(change);
    added_.notify_all();
  }
  // Waits for a change of the kind; a minute is for ever.
  std::optional<FileChange> wait_for(FileChangeKind kind) {
    std::unique_lock lock(mutex_);
    std::optional<FileChange> found;
    added_.wait_for(lock, 60s, [&] {
      for (const FileChange& change : changes_) {
        if (change.kind == kind) {
          found = change;
        }
      }
      return found.has_value();
    });
    return found;
  }
  std::size_t count() {
    const std::scoped_lock lock(mutex_);
    return changes_.size();
  }
  void clear() {
    const std::scoped_lock lock(mutex_);
    changes_.clear();
  }

 private:
  std::mutex mutex_;
  std::condition_variable added_;
  std::vector<FileChange> changes_;
};

class MapWatch : public ::testing::Test {
 protected:
  MapWatch() { write_file(scratch.path("file"), "content"); }
  Watch watch(const WatchOptions& options = {.coalesce = 1ms}) {
    return must(map().watch([this](const FileChange& change) { changes.add(change); }, options));
  }
  MappedFile& map() {
    if (!map_) {
      map_ = must(MappedFile::open(scratch.path("file"), read_write));
    }
    return *map_;
  }
  void append(const std::string& text) { std::ofstream(scratch.path("file"), std::ios::app) << text; }
  Scratch scratch;
  Changes changes;

 private:
  std::optional<MappedFile> map_;
};

TEST_F(MapWatch, writes_are_modifications) {
  const Watch watching = watch();
  append("more");
  EXPECT_TRUE(changes.wait_for(FileChangeKind::modified));
}

TEST_F(MapWatch, modes_and_links_are_metadata) {
  const Watch watching = watch();
  ASSERT_EQ(::chmod(scratch.path("file").c_str(), 0600), 0);
  EXPECT_TRUE(changes.wait_for(FileChangeKind::metadata));
}

TEST_F(MapWatch, a_new_name_is_a_renaming_and_the_file_is_watched_on) {
  const Watch watching = watch();
  std::filesystem::rename(scratch.path("file"), scratch.path("new"));
  EXPECT_TRUE(changes.wait_for(FileChangeKind::renamed));
  changes.clear();
  std::ofstream(scratch.path("new"), std::ios::app) << "more";
  EXPECT_TRUE(changes.wait_for(FileChangeKind::modified));
}

TEST_F(MapWatch, losing_its_last_name_is_a_removal_and_the_end) {
  Watch watching = watch();
  ASSERT_EQ(::link(scratch.path("file").c_str(), scratch.path("second").c_str()), 0);
  ASSERT_TRUE(changes.wait_for(FileChangeKind::metadata));
  changes.clear();
  std::filesystem::remove(scratch.path("file"));
  ASSERT_TRUE(changes.wait_for(FileChangeKind::metadata));  // it still has a name
  std::filesystem::remove(scratch.path("second"));
  EXPECT_TRUE(changes.wait_for(FileChangeKind::removed));
}

TEST_F(MapWatch, being_replaced_is_a_removal) {
  const Watch watching = watch();
  write_file(scratch.path("new"), "other");
  std::filesystem::rename(scratch.path("new"), scratch.path("file"));
  EXPECT_TRUE(changes.wait_for(FileChangeKind::removed));
}

TEST_F(MapWatch, changes_close_together_are_one) {
  const Watch watching = watch({.coalesce = 300ms});
  for (int i = 0; i < 20; ++i) {
    append("more");
    ASSERT_EQ(::chmod(scratch.path("file").c_str(), i % 2 == 0 ? 0600 : 0644), 0);
  }
  const auto modified = changes.wait_for(FileChangeKind::modified);
  ASSERT_TRUE(modified);
  EXPECT_GT(modified->events, 1U);
  ASSERT_TRUE(changes.wait_for(FileChangeKind::metadata));
  EXPECT_LT(changes.count(), 10U);  // two, if the loop took less than 300 ms
}

TEST_F(MapWatch, writes_through_a_map_are_found_by_polling) {
  const Watch watching = watch({.coalesce = 1ms, .poll_interval = 5ms});
  std::this_thread::sleep_for(30ms);
  EXPECT_EQ(changes.count(), 0U);
  must(map().update(0, bytes_of("x")));
  EXPECT_TRUE(changes.wait_for(FileChangeKind::modified));
}

TEST_F(MapWatch, nothing_is_reported_after_the_watch_is_gone) {
  {
    const Watch watching = watch();
  }
  append("more");
  std::this_thread::sleep_for(20ms);
  EXPECT_EQ(changes.count(), 0U);
}

TEST_F(MapWatch, a_stop_request_ends_it) {
  std::stop_source source;
  const Watch watching = watch({.coalesce = 1ms, .stop = source.get_token()});
  append("more");
  ASSERT_TRUE(changes.wait_for(FileChangeKind::modified));
  source.request_stop();
  std::this_thread::sleep_for(20ms);
  changes.clear();
  append("more");
  std::this_thread::sleep_for(20ms);
  EXPECT_EQ(changes.count(), 0U);
}

TEST_F(MapWatch, a_stop_that_was_requested_before_ends_it_at_once) {
  std::stop_source source;
  source.request_stop();
  const Watch watching = watch({.coalesce = 1ms, .stop = source.get_token()});
  append("more");
  std::this_thread::sleep_for(20ms);
  EXPECT_EQ(changes.count(), 0U);
}

TEST_F(MapWatch, a_watch_keeps_the_map_alive) {
  std::optional<MappedFile> own = must(MappedFile::open_read_only(scratch.path("file")));
  const Watch watching = must(own->watch([this](const FileChange& change) { changes.add(change); }, {.coalesce = 1ms}));
  EXPECT_EQ(errno_of(own->unmap()), EBUSY);
  own.reset();
  append("more");
  EXPECT_TRUE(changes.wait_for(FileChangeKind::modified));
}

TEST_F(MapWatch, each_failing_call_is_reported) {
  map();
  const struct {
    Call call;
    int error;
    const char* operation;
  } faults[] = {{Call::inotify_init, EMFILE, "inotify_init1"},
                {Call::eventfd, ENFILE, "eventfd"},
                {Call::inotify_add_watch, ENOSPC, "inotify_add_watch"}};
  for (const auto& fault : faults) {
    FaultPlan plan;
    plan.fail(fault.call, fault.error);
    const auto failed = map().watch([](const FileChange&) {});
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().errno_value(), fault.error);
    EXPECT_STREQ(failed.error().operation, fault.operation);
    EXPECT_EQ(plan.injected(), 1U);
  }
  EXPECT_EQ(errno_of(map().watch({})), EINVAL);
  EXPECT_EQ(errno_of(map().watch([](const FileChange&) {}, {.coalesce = -1ms})), EINVAL);
}

TEST_F(MapWatch, a_poll_that_fails_is_tried_again_and_a_read_that_fails_ends_the_watch) {
  {
    FaultPlan plan;
    plan.fail(Call::poll, ENOMEM, {.first = 1, .times = 3});
    const Watch watching = watch();
    append("more");
    EXPECT_TRUE(changes.wait_for(FileChangeKind::modified));
    EXPECT_GE(plan.injected(), 1U);
  }
  changes.clear();
  FaultPlan plan;
  plan.fail(Call::read, EIO);
  const Watch watching = watch();
  append("more");
  while (plan.injected() == 0) {
    std::this_thread::sleep_for(1ms);
  }
  EXPECT_EQ(changes.count(), 0U);
}

}  // namespace
}  // namespace ferry::testing
