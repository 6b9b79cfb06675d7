// A tree copied by several ranks within this process: the result is that of one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "mpi/messages.hpp"
#include "mpi/network.hpp"
#include "support/fault_plan.hpp"
#include "support/scratch.hpp"

namespace ferry::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::chrono::microseconds longest_delay{300};

TreeOptions archive() {
  TreeOptions options;
  options.preserve = {.mode = true, .owner = true, .times = true, .acls = true, .xattrs = true};
  options.preserve_hard_links = true;
  options.jobs = 1;
  return options;
}

struct Result {
  TreeReport report;
  bool failed = false;
  std::string refused;
  std::vector<TreeError> errors;
  std::vector<std::string> events;
  std::vector<std::uint64_t> files;  // regular files copied, by rank
  std::uint64_t bytes_by_others = 0;
  std::size_t messages = 0;
};

// What can be told to each rank.
struct Setting {
  std::function<RankFacts(int rank)> facts = [](int /*rank*/) { return rank_facts("cp", 022); };
  std::stop_token stop = {};
  bool with_events = false;
  // Rank 0 goes slowly until another rank has copied something.
  bool lets_others_begin = true;
};

Result copy_with(int size, const std::vector<TreeOperand>& operands, const TreeOptions& options,
                 const Setting& setting = {}) {
  Network network(size, longest_delay);
  Result result;
  result.files.resize(static_cast<std::size_t>(size));
  std::mutex mutex;
  std::atomic<bool> others_have_begun = false;
  const auto body = [&](int rank) {
    auto ranks = *Ranks::join([&] { return network.connect(rank); });
    ASSERT_EQ(ranks->rank(), rank);
    ASSERT_EQ(ranks->size(), size);
    const auto checked = ranks->check(setting.facts(rank), rank == 0 ? std::optional(operands) : std::nullopt);
    if (!checked) {
      if (rank == 0) {
        result.refused = checked.error();
      }
      return;
    }
    TreeOptions own = options;
    own.partners = &ranks->partners();
    own.copy.stop = ranks->stop_token();
    if (rank == 0) {
      const auto on_event = [&](const TreeEvent& event) {
        const std::scoped_lock lock(mutex);
        result.events.emplace_back(event.destination);
      };
      const auto on_error = [&](const TreeError& error) {
        const std::scoped_lock lock(mutex);
        result.errors.push_back(error);
      };
      own.on_error = on_error;
      own.on_event = [&, on_event](const TreeEvent& event) {
        on_event(event);
        for (int i = 0; setting.lets_others_begin && i < 20 && !others_have_begun; ++i) {
          std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
      };
      ranks->begin({.on_event = on_event, .on_error = on_error}, setting.stop);
      TreeCopier copier(own);
      for (const TreeOperand& operand : operands) {
        (void)copier.copy(operand.source, operand.destination);
      }
      ranks->end_work();
      (void)copier.finish();
      const Ranks::Outcome outcome = ranks->finish(copier.report(), false);
      result.report = outcome.report;
      result.failed = outcome.failed;
      result.files[0] = copier.report().regular_files;
      return;
    }
    own.on_error = [&](const TreeError& error) { ranks->forward(error); };
    own.on_event = [&](const TreeEvent& event) {
      others_have_begun = true;
      if (setting.with_events) {
        ranks->forward(event);
      }
    };
    ranks->begin({}, {});
    TreeCopier copier(own);
    ranks->tell_progress([&] { return copier.progress(); });
    copier.serve_partners();
    ranks->tell_progress({});
    (void)copier.finish();
    (void)ranks->finish(copier.report(), false);
    result.files[static_cast<std::size_t>(rank)] = copier.report().regular_files;
    const std::scoped_lock lock(mutex);
    result.bytes_by_others += copier.progress().bytes_done;
  };
  std::vector<std::jthread> threads;
  for (int rank = 1; rank < size; ++rank) {
    threads.emplace_back(body, rank);
  }
  body(0);
  threads.clear();
  result.messages = network.messages();
  return result;
}

// "type mode size mtime content" of everything below, by path; names of one inode have the same first name.
std::map<std::string, std::string> listing(const std::string& root) {
  std::map<std::string, std::string> found;
  std::map<ino_t, std::string> first_names;
  std::vector<std::string> paths = {root};
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  for (const std::string& path : paths) {
    struct stat status = {};
    EXPECT_EQ(::lstat(path.c_str(), &status), 0);
    const std::string name = path.substr(root.size());
    std::string text = std::to_string(status.st_mode) + " " + std::to_string(status.st_mtim.tv_sec) + "." +
                       std::to_string(status.st_mtim.tv_nsec);
    if (S_ISLNK(status.st_mode)) {
      text += " -> " + fs::read_symlink(path).string();
    } else if (S_ISREG(status.st_mode)) {
      std::ifstream file(path);
      text += " " + std::string(std::istreambuf_iterator<char>(file), {});
      text += " first " + first_names.emplace(status.st_ino, name).first->second;
    }
    found[name] = text;
  }
  return found;
}

class RanksTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::string source(const std::string& name = "") const { return scratch_.path("s" + name); }
  [[nodiscard]] std::string destination(const std::string& name = "") const { return scratch_.path("d" + name); }
  static void write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

  // Some directories of some files each, with hard links between the directories, symlinks and old times.
  void make_tree(int directories, int files) const {
    fs::create_directory(source());
    for (int d = 0; d < directories; ++d) {
      const std::string directory = source("/directory" + std::to_string(d));
      fs::create_directories(directory + "/deep/er");
      for (int f = 0; f < files; ++f) {
        const std::string path = directory + (f % 3 == 0 ? "/deep/" : "/") + "file" + std::to_string(f);
        if (f % 5 == 1 && d > 0) {
          fs::create_hard_link(source("/directory0") + (f % 3 == 0 ? "/deep/" : "/") + "file" + std::to_string(f),
                               path);
        } else {
          write(path, "content of " + std::to_string(d) + "/" + std::to_string(f));
        }
        fs::last_write_time(path, fs::file_time_type::clock::now() - std::chrono::hours(f + 1));
      }
      fs::create_symlink("../directory0", directory + "/symlink");
      fs::permissions(directory, static_cast<fs::perms>(0750));
      for (const char* name : {"/deep/er", "/deep", ""}) {
        fs::last_write_time(directory + name, fs::file_time_type::clock::now() - std::chrono::hours(1000 + d));
      }
    }
  }

  Scratch scratch_;
};

class RanksCopy : public RanksTest, public ::testing::WithParamInterface<int> {};
INSTANTIATE_TEST_SUITE_P(Sizes, RanksCopy, ::testing::Values(2, 3, 4, 8));

TEST_P(RanksCopy, a_tree_with_hard_links_becomes_what_one_process_makes_of_it) {
  make_tree(12, 40);
  const Result result = copy_with(GetParam(), {{source(), destination()}}, archive());
  EXPECT_THAT(result.errors, IsEmpty());
  EXPECT_EQ(listing(source()), listing(destination()));
  TreeCopier alone(archive());
  ASSERT_TRUE(alone.copy(source(), destination("2")));
  EXPECT_EQ(result.report.regular_files, alone.report().regular_files);
  EXPECT_EQ(result.report.hard_links, alone.report().hard_links);
  EXPECT_EQ(result.report.directories, alone.report().directories);
  EXPECT_EQ(result.report.symlinks, alone.report().symlinks);
  EXPECT_EQ(result.report.data.bytes_copied, alone.report().data.bytes_copied);
}

TEST_P(RanksCopy, a_flat_directory_is_shared_in_batches) {
  fs::create_directory(source());
  for (int i = 0; i < 600; ++i) {
    write(source("/file" + std::to_string(i)), std::to_string(i));
  }
  const Result result = copy_with(GetParam(), {{source(), destination()}}, archive());
  EXPECT_EQ(listing(source()), listing(destination()));
  EXPECT_EQ(result.report.regular_files, 600);
  EXPECT_LT(result.files[0], 600) << "rank 0 did it all";
}

TEST_P(RanksCopy, a_second_copy_merges) {
  make_tree(5, 20);
  (void)copy_with(GetParam(), {{source(), destination()}}, archive());
  write(source("/directory2/deep/new"), "new");
  write(source("/directory1/file1"), "changed, in all its names");
  const Result again = copy_with(GetParam(), {{source(), destination()}}, archive());
  EXPECT_THAT(again.errors, IsEmpty());
  EXPECT_EQ(listing(source()), listing(destination()));
}

TEST_F(RanksTest, events_of_all_ranks_arrive_at_the_first) {
  make_tree(6, 30);
  const Result result =
      copy_with(3, {{source(), destination()}}, archive(), {.with_events = true, .lets_others_begin = true});
  EXPECT_EQ(result.events.size(), listing(source()).size());
}

TEST_F(RanksTest, errors_of_other_ranks_are_reported_and_counted) {
  fs::create_directory(source());
  fs::create_directory(destination());
  for (int i = 0; i < 300; ++i) {
    write(source("/file" + std::to_string(i)), "x");
    if (i % 3 == 0) {
      fs::create_directory(destination("/file" + std::to_string(i)));  // cannot be replaced by a file
    }
  }
  const Result result = copy_with(4, {{source(), destination()}}, archive());
  EXPECT_EQ(result.errors.size(), 100);
  EXPECT_EQ(result.report.errors, 100);
  EXPECT_EQ(result.report.regular_files, 200);
  for (const TreeError& error : result.errors) {
    EXPECT_EQ(error.problem, TreeProblem::overwrite_directory_with_non_directory);
    EXPECT_THAT(error.destination, HasSubstr(destination("/file")));
    EXPECT_EQ(error.operand.source, source());
  }
}

TEST_F(RanksTest, several_operands_share_their_hard_links) {
  make_tree(3, 30);
  const std::vector<TreeOperand> operands = {{source("/directory0"), destination("0")},
                                             {source("/directory1"), destination("1")},
                                             {source("/directory2/file1"), destination("file")}};
  const Result result = copy_with(3, operands, archive());
  EXPECT_THAT(result.errors, IsEmpty());
  struct stat a = {};
  struct stat b = {};
  struct stat c = {};
  ASSERT_EQ(::stat(destination("0/file1").c_str(), &a), 0);
  ASSERT_EQ(::stat(destination("1/file1").c_str(), &b), 0);
  ASSERT_EQ(::stat(destination("file").c_str(), &c), 0);
  EXPECT_EQ(a.st_ino, b.st_ino);
  EXPECT_EQ(a.st_ino, c.st_ino);
}

TEST_F(RanksTest, a_stop_of_any_rank_stops_all) {
  make_tree(8, 60);
  std::stop_source stop;
  stop.request_stop();
  const Result result =
      copy_with(3, {{source(), destination()}}, archive(), {.stop = stop.get_token(), .lets_others_begin = false});
  EXPECT_LT(result.report.regular_files, 480);
}

TEST_F(RanksTest, an_empty_job_ends) {
  fs::create_directory(source());
  const Result result = copy_with(8, {{source(), destination()}}, archive());
  EXPECT_THAT(result.errors, IsEmpty());
  EXPECT_TRUE(fs::is_directory(destination()));
}

TEST_F(RanksTest, a_dry_run_changes_nothing_and_meets_every_entry) {
  make_tree(6, 30);
  TreeOptions options = archive();
  options.dry_run = true;
  const Result result = copy_with(3, {{source(), destination()}}, options, {.with_events = true});
  EXPECT_THAT(result.errors, IsEmpty());
  EXPECT_FALSE(fs::exists(destination()));
  EXPECT_EQ(result.events.size(), listing(source()).size());
}

// ------------------------------------------------------------------------------------------------- large files

class LargeFile : public RanksTest {
 protected:
  static constexpr std::size_t size = std::size_t{320} << 20U;

  void SetUp() override {
    fs::create_directory(source());
    std::ofstream file(source("/large"), std::ios::binary);
    std::vector<std::uint64_t> words(size / 16 / sizeof(std::uint64_t));
    for (std::uint64_t part = 0; part < 16; ++part) {
      for (std::size_t i = 0; i < words.size(); ++i) {
        words[i] = (part * words.size() + i) * 0x9E3779B97F4A7C15U + 1;
      }
      file.write(reinterpret_cast<const char*>(words.data()),
                 static_cast<std::streamsize>(words.size() * sizeof(std::uint64_t)));
    }
    ASSERT_TRUE(file.good());
  }
  // By short reads: two whole copies in memory would be much.
  [[nodiscard]] bool is_copied() const {
    std::ifstream a(source("/large"), std::ios::binary);
    std::ifstream b(destination("/large"), std::ios::binary);
    std::vector<char> x(1U << 20U);
    std::vector<char> y(x.size());
    while (a.read(x.data(), static_cast<std::streamsize>(x.size())) &&
           b.read(y.data(), static_cast<std::streamsize>(y.size()))) {
      if (x != y) {
        return false;
      }
    }
    return fs::file_size(source("/large")) == fs::file_size(destination("/large"));
  }
};

TEST_F(LargeFile, is_copied_by_several_ranks_into_one_file) {
  const Result result = copy_with(3, {{source(), destination()}}, archive());
  EXPECT_THAT(result.errors, IsEmpty());
  EXPECT_TRUE(is_copied());
  EXPECT_EQ(result.report.data.bytes_copied, size);
  EXPECT_EQ(result.report.data.size_bytes, size);
  EXPECT_EQ(result.report.regular_files, 1);
  EXPECT_GT(result.bytes_by_others, 0);
  EXPECT_EQ(fs::last_write_time(source("/large")), fs::last_write_time(destination("/large")));
  EXPECT_EQ(std::distance(fs::directory_iterator(destination()), {}), 1) << "a temporary name is left";
}

TEST_F(LargeFile, named_by_an_operand_is_shared_too_and_replaces_the_old_one) {
  fs::create_directory(destination());
  write(destination("/large"), "old");
  const Result result = copy_with(2, {{source("/large"), destination("/large")}}, archive());
  EXPECT_THAT(result.errors, IsEmpty());
  EXPECT_TRUE(is_copied());
  EXPECT_GT(result.bytes_by_others, 0);
}

TEST_F(LargeFile, that_fails_in_any_rank_leaves_the_old_one_and_is_told_once) {
  fs::create_directory(destination());
  for (const sys::Call call : {sys::Call::copy_file_range, sys::Call::pwrite}) {
    write(destination("/large"), "old");
    FaultPlan plan;
    if (call == sys::Call::pwrite) {
      plan.fail(sys::Call::copy_file_range, EXDEV);
      plan.fail(sys::Call::splice, EINVAL);
      plan.fail(sys::Call::sendfile, EINVAL);
      plan.fail(sys::Call::write, ENOSPC, {.first = 4});
    }
    plan.fail(call, ENOSPC, {.first = 4});
    TreeOptions options = archive();
    if (call == sys::Call::copy_file_range) {
      options.copy.methods = CopyMethodSet(CopyMethod::copy_file_range);
    }
    const Result result = copy_with(3, {{source(), destination()}}, options);
    EXPECT_GT(plan.injected(), 0);
    ASSERT_EQ(result.errors.size(), 1);
    EXPECT_EQ(result.errors[0].error.errno_value(), ENOSPC);
    EXPECT_EQ(result.errors[0].destination, destination("/large"));
    EXPECT_EQ(fs::file_size(destination("/large")), 3);
    EXPECT_EQ(std::distance(fs::directory_iterator(destination()), {}), 1) << "a temporary name is left";
  }
}

TEST_F(LargeFile, that_cannot_be_given_its_size_is_an_error) {
  FaultPlan plan;
  plan.fail(sys::Call::ftruncate, EFBIG);
  const Result result = copy_with(2, {{source(), destination()}}, archive());
  ASSERT_EQ(result.errors.size(), 1);
  EXPECT_EQ(result.errors[0].error.errno_value(), EFBIG);
  EXPECT_TRUE(fs::is_empty(destination()));
}

TEST_F(LargeFile, is_not_shared_where_it_has_holes) {
  std::ofstream(source("/large"), std::ios::in | std::ios::binary).seekp(2 * size).put('x');
  const Result result = copy_with(2, {{source(), destination()}}, archive());
  EXPECT_THAT(result.errors, IsEmpty());
  EXPECT_TRUE(is_copied());
  EXPECT_EQ(result.bytes_by_others, 0);
}

// ------------------------------------------------------------------------------------------- checks at the start

TEST_F(RanksTest, another_version_is_refused_before_anything_is_written) {
  make_tree(1, 1);
  const Result result = copy_with(3, {{source(), destination()}}, archive(), {.facts = [](int rank) {
                                    RankFacts facts = rank_facts("cp", 022);
                                    facts.version = rank == 2 ? "9.9.9" : facts.version;
                                    return facts;
                                  }});
  EXPECT_THAT(result.refused, HasSubstr("rank 2"));
  EXPECT_THAT(result.refused, HasSubstr("is ferry 9.9.9"));
  EXPECT_FALSE(fs::exists(destination()));
}

TEST_F(RanksTest, other_arguments_or_another_user_are_refused) {
  make_tree(1, 1);
  const Result arguments = copy_with(2, {{source(), destination()}}, archive(),
                                     {.facts = [](int rank) { return rank_facts(rank == 1 ? "cp -a" : "cp", 022); }});
  EXPECT_THAT(arguments.refused, HasSubstr("other arguments"));
  const Result umask = copy_with(2, {{source(), destination()}}, archive(),
                                 {.facts = [](int rank) { return rank_facts("cp", rank == 1 ? 077 : 022); }});
  EXPECT_THAT(umask.refused, HasSubstr("umask 0077"));
  EXPECT_FALSE(fs::exists(destination()));
}

TEST_F(RanksTest, ranks_of_several_machines_that_share_the_destination_copy) {
  make_tree(4, 30);
  const Result result = copy_with(3, {{source(), destination()}}, archive(), {.facts = [](int rank) {
                                    RankFacts facts = rank_facts("cp", 022);
                                    facts.machine += std::to_string(rank);
                                    return facts;
                                  }});
  EXPECT_THAT(result.refused, IsEmpty());
  EXPECT_EQ(listing(source()), listing(destination()));
}

TEST_F(RanksTest, operands_that_rank_0_refuses_end_all) {
  Network network(2, longest_delay);
  std::jthread other([&] {
    auto ranks = *Ranks::join([&] { return network.connect(1); });
    EXPECT_FALSE(ranks->check(rank_facts("cp", 022), std::nullopt));
  });
  auto ranks = *Ranks::join([&] { return network.connect(0); });
  const auto checked = ranks->check(rank_facts("cp", 022), std::nullopt);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error(), "");
}

TEST(RanksJoin, a_transport_that_fails_is_told) {
  const auto joined = Ranks::join([]() -> std::expected<std::unique_ptr<Transport>, std::string> {
    return std::unexpected(std::string("no network"));
  });
  ASSERT_FALSE(joined);
  EXPECT_EQ(joined.error(), "no network");
}

}  // namespace
}  // namespace ferry::testing
