// What copy_tree() makes of trees, entry by entry, and what it costs.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <ferry/tree.hpp>

#include <array>
#include <atomic>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "support/fault_plan.hpp"
#include "support/scratch.hpp"

namespace ferry::testing {
namespace {

namespace fs = std::filesystem;
using sys::Call;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class CopyTree : public ::testing::Test {
 protected:
  [[nodiscard]] std::string source(const std::string& name = "") const {
    return scratch_.path(name.empty() ? "s" : "s/" + name);
  }
  [[nodiscard]] std::string destination(const std::string& name = "") const {
    return scratch_.path(name.empty() ? "d" : "d/" + name);
  }
  void SetUp() override { fs::create_directory(source()); }

  // Copies source() to destination(); the problems met, in order.
  std::vector<TreeProblem> copy(TreeOptions options) {
    std::vector<TreeProblem> problems;
    options.on_error = [&](const TreeError& error) { problems.push_back(error.problem); };
    report_ = {};
    TreeCopier copier(std::move(options));
    const auto copied = copier.copy(source(), destination());
    EXPECT_EQ(copied.has_value(), problems.empty());
    EXPECT_TRUE(copier.finish());
    report_ = copier.report();
    return problems;
  }
  static TreeOptions archive() {
    TreeOptions options;
    options.preserve = {.mode = true, .owner = true, .times = true, .acls = true, .xattrs = true};
    options.preserve_hard_links = true;
    return options;
  }
  static struct stat status(const std::string& path) {
    struct stat found = {};
    EXPECT_EQ(::lstat(path.c_str(), &found), 0) << path;
    return found;
  }

  Scratch scratch_;
  TreeReport report_;
};

// System calls per small file of a copy from "s" to "d", as the difference of two copies, so that what the job itself
// takes drops out. `prepare(root, files)` makes the two.
template <typename Prepare>
std::uint64_t calls_per_file(TreeOptions options, Prepare prepare) {
  options.jobs = 1;
  const auto calls_for = [&](int files) {
    const Scratch scratch;
    prepare(scratch, files);
    const FaultPlan plan;
    EXPECT_TRUE(copy_tree(scratch.path("s"), scratch.path("d"), options));
    return plan.total();
  };
  (void)calls_for(1);  // what is asked about a file system, is asked once
  constexpr int more = 100;
  const std::uint64_t calls = calls_for(2 * more) - calls_for(more);
  EXPECT_EQ(calls % more, 0U);
  return calls / more;
}

void make_files(const std::string& directory, int files, const std::string& content) {
  fs::create_directories(directory);
  for (int i = 0; i < files; ++i) {
    write_file(directory + "/" + std::to_string(i), content);
  }
}

TEST_F(CopyTree, a_new_small_file_takes_ten_system_calls_in_an_archive_copy_and_nine_in_a_new_directory) {
  const std::string page(4096, 'x');
  // openat, statx, flistxattr, read, close of the source; openat, write, utimensat, linkat, close of the destination.
  EXPECT_EQ(calls_per_file(archive(), [&](const Scratch& in, int files) { make_files(in.path("s"), files, page); }),
            10U);
  const auto below = [&](const Scratch& in, int files) { make_files(in.path("s/below"), files, page); };
  EXPECT_EQ(calls_per_file(archive(), below), 9U);  // no linkat
  EXPECT_EQ(calls_per_file({}, below), 7U);         // no flistxattr, no utimensat
}

TEST_F(CopyTree, overwriting_a_small_file_takes_nine_system_calls_and_eight_in_place) {
  const auto both = [&](const Scratch& in, int files) {
    make_files(in.path("s"), files, std::string(40, 's'));
    make_files(in.path("d"), files, std::string(40, 'd'));
  };
  EXPECT_EQ(calls_per_file({}, both), 9U);  // openat, statx, pread, close of both, and one pwrite
  EXPECT_EQ(calls_per_file({.copy = {.inplace = true}}, both), 8U);
}

TEST_F(CopyTree, a_small_file_that_does_not_shrink_keeps_its_inode_and_others_are_replaced) {
  fs::create_directory(destination());
  for (const char* name : {"as long", "longer", "shorter", "large"}) {
    write_file(destination(name), "old content");
  }
  write_file(source("as long"), "new content");
  write_file(source("longer"), "new and longer content");
  write_file(source("shorter"), "new");
  write_file(source("large"), std::string(5000, 'n'));
  const auto inode = [&](const char* name) { return status(destination(name)).st_ino; };
  const auto before = std::array{inode("as long"), inode("longer"), inode("shorter"), inode("large")};
  EXPECT_THAT(copy({}), IsEmpty());
  EXPECT_EQ(inode("as long"), before[0]);
  EXPECT_EQ(inode("longer"), before[1]);
  EXPECT_NE(inode("shorter"), before[2]);
  EXPECT_NE(inode("large"), before[3]);
  for (const char* name : {"as long", "longer", "shorter", "large"}) {
    EXPECT_EQ(read_file(destination(name)), read_file(source(name)));
  }
}

TEST_F(CopyTree, a_running_program_is_replaced_although_it_is_small_and_cannot_be_written) {
  fs::create_directory(destination());
  write_file(source("program"), "new content");
  write_file(destination("program"), "old content");
  FaultPlan plan;
  plan.fail(Call::openat, ETXTBSY, {.first = 4, .times = 1});  // both directories, the source, the old file
  EXPECT_THAT(copy({.jobs = 1}), IsEmpty());
  EXPECT_EQ(plan.injected(), 1U);
  EXPECT_EQ(plan.count(Call::renameat2), 1U);
  EXPECT_EQ(read_file(destination("program")), "new content");
}

TEST_F(CopyTree, hard_links_across_directories_stay_links) {
  fs::create_directories(source("a"));
  fs::create_directories(source("b"));
  write_file(source("a/1"), "one file");
  fs::create_hard_link(source("a/1"), source("b/2"));
  fs::create_hard_link(source("a/1"), source("3"));
  EXPECT_THAT(copy(archive()), IsEmpty());
  EXPECT_EQ(status(destination("a/1")).st_nlink, 3U);
  EXPECT_EQ(status(destination("a/1")).st_ino, status(destination("b/2")).st_ino);
  EXPECT_EQ(status(destination("a/1")).st_ino, status(destination("3")).st_ino);
  EXPECT_EQ(report_.hard_links, 2U);
}

TEST_F(CopyTree, many_workers_meeting_the_same_inodes_link_each_name_once) {
  constexpr int directories = 40;
  constexpr int files = 50;
  for (int i = 0; i < files; ++i) {
    write_file(source("first" + std::to_string(i)), std::to_string(i));
  }
  for (int d = 0; d < directories; ++d) {
    fs::create_directory(source("d" + std::to_string(d)));
    for (int i = 0; i < files; ++i) {
      fs::create_hard_link(source("first" + std::to_string(i)),
                           source("d" + std::to_string(d) + "/" + std::to_string(i)));
    }
  }
  TreeOptions options = archive();
  options.jobs = 8;
  EXPECT_THAT(copy(options), IsEmpty());
  for (int i = 0; i < files; ++i) {
    EXPECT_EQ(status(destination("first" + std::to_string(i))).st_nlink, directories + 1U);
  }
  EXPECT_EQ(report_.hard_links, static_cast<unsigned>(directories * files));
}

TEST_F(CopyTree, deep_trees_need_few_descriptors) {
  std::string path = source();
  constexpr int depth = 200;
  UniqueFd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY));
  const std::string name(200, 'n');  // together far beyond PATH_MAX
  for (int i = 0; i < depth; ++i) {
    ASSERT_TRUE(directory);
    ASSERT_EQ(::mkdirat(directory.get(), name.c_str(), 0755), 0);
    const UniqueFd file(::openat(directory.get(), "file", O_WRONLY | O_CREAT, 0644));
    ASSERT_EQ(::write(file.get(), name.data(), name.size()), static_cast<ssize_t>(name.size()));
    directory.reset(::openat(directory.get(), name.c_str(), O_RDONLY | O_DIRECTORY));
  }
  TreeOptions options = archive();
  options.descriptor_budget = 28;
  options.jobs = 1;
  EXPECT_THAT(copy(options), IsEmpty());
  EXPECT_EQ(report_.directories, depth + 1U);
  EXPECT_EQ(report_.regular_files, static_cast<unsigned>(depth));
  directory.reset(::open(destination().c_str(), O_RDONLY | O_DIRECTORY));
  int levels = 0;
  while (directory) {
    directory.reset(::openat(directory.get(), name.c_str(), O_RDONLY | O_DIRECTORY));
    levels += directory ? 1 : 0;
  }
  EXPECT_EQ(levels, depth);
}

TEST_F(CopyTree, wide_and_deep_directories_are_read_on_where_they_were_left) {
  // More entries than one getdents64 returns, and subdirectories that push the directory out of the descriptor budget.
  constexpr int files = 3000;
  for (int i = 0; i < files; ++i) {
    write_file(source("file" + std::to_string(i)), "x");
  }
  for (int i = 0; i < 60; ++i) {
    fs::create_directories(source("dir" + std::to_string(i) + "/a/b/c/d/e"));
  }
  for (const unsigned jobs : {1U, 4U}) {
    fs::remove_all(destination());
    TreeOptions options;
    options.descriptor_budget = 20;
    options.jobs = jobs;
    EXPECT_THAT(copy(options), IsEmpty());
    EXPECT_EQ(report_.regular_files, static_cast<unsigned>(files));
    EXPECT_EQ(report_.directories, 1U + 60U * 6U);
  }
}

TEST_F(CopyTree, a_directory_is_not_copied_into_itself) {
  write_file(source("file"), "x");
  fs::create_directory(source("sub"));
  TreeOptions options;
  std::vector<TreeProblem> problems;
  options.on_error = [&](const TreeError& error) { problems.push_back(error.problem); };
  EXPECT_FALSE(copy_tree(source(), source("sub/copy"), options));
  EXPECT_THAT(problems, ElementsAre(TreeProblem::into_itself));
  EXPECT_EQ(read_file(source("sub/copy/file")), "x");
}

TEST_F(CopyTree, a_file_over_itself_is_refused_and_stays) {
  write_file(source("file"), "precious");
  for (const bool inplace : {false, true}) {
    TreeOptions options;
    options.copy.inplace = inplace;
    EXPECT_FALSE(copy_tree(source("file"), source("file"), options));
    fs::remove(source("link"));
    fs::create_symlink("file", source("link"));
    EXPECT_FALSE(copy_tree(source("file"), source("link"), options));
    fs::remove(source("hard"));
    fs::create_hard_link(source("file"), source("hard"));
    EXPECT_FALSE(copy_tree(source("file"), source("hard"), options));
    EXPECT_FALSE(copy_tree(source(), source(), options));
    EXPECT_EQ(read_file(source("file")), "precious");
  }
}

TEST_F(CopyTree, in_place_the_same_inode_inside_both_trees_is_refused) {
  write_file(source("file"), "precious");
  fs::create_directory(destination());
  fs::create_hard_link(source("file"), destination("file"));
  TreeOptions options;
  options.copy.inplace = true;
  EXPECT_THAT(copy(options), ElementsAre(TreeProblem::same_file));
  EXPECT_EQ(read_file(source("file")), "precious");
}

TEST_F(CopyTree, what_is_replaced_keeps_its_mode_owner_and_attributes) {
  write_file(source("file"), "new");
  fs::create_directory(destination());
  write_file(destination("file"), "old");
  ASSERT_EQ(::chmod(destination("file").c_str(), 0604), 0);
  ASSERT_EQ(::setxattr(destination("file").c_str(), "user.kept", "yes", 3, 0), 0);
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown(destination("file").c_str(), 1234, 4321), 0);
  }
  EXPECT_THAT(copy({}), IsEmpty());
  EXPECT_EQ(read_file(destination("file")), "new");
  EXPECT_EQ(status(destination("file")).st_mode & 07777U, 0604U);
  char value[8] = {};
  EXPECT_EQ(::getxattr(destination("file").c_str(), "user.kept", value, sizeof value), 3);
  if (::geteuid() == 0) {
    EXPECT_EQ(status(destination("file")).st_uid, 1234U);
    EXPECT_EQ(status(destination("file")).st_gid, 4321U);
  }
}

TEST_F(CopyTree, a_destination_with_other_names_is_written_in_place) {
  write_file(source("file"), "new");
  fs::create_directory(destination());
  write_file(destination("file"), "older and longer");
  fs::create_hard_link(destination("file"), scratch_.path("other-name"));
  EXPECT_THAT(copy({}), IsEmpty());
  EXPECT_EQ(read_file(scratch_.path("other-name")), "new");
}

TEST_F(CopyTree, symlinks_inside_the_destination_are_written_through_only_inside) {
  write_file(source("in"), "new");
  write_file(source("out"), "new");
  fs::create_directory(destination());
  write_file(destination("target"), "old");
  write_file(scratch_.path("outside"), "precious");
  fs::create_symlink("target", destination("in"));
  fs::create_symlink("../outside", destination("out"));
  EXPECT_THAT(copy({}), ElementsAre(TreeProblem::symlink_leads_outside));
  EXPECT_EQ(read_file(destination("target")), "new");
  EXPECT_EQ(read_file(scratch_.path("outside")), "precious");
  EXPECT_TRUE(fs::is_symlink(destination("in")));
}

TEST_F(CopyTree, directories_and_other_files_do_not_replace_one_another) {
  fs::create_directories(source("d-over-f"));
  write_file(source("f-over-d"), "x");
  write_file(source("other"), "copied");
  fs::create_directories(destination("f-over-d"));
  write_file(destination("d-over-f"), "kept");
  EXPECT_THAT(copy({}), ::testing::UnorderedElementsAre(TreeProblem::overwrite_directory_with_non_directory,
                                                        TreeProblem::overwrite_non_directory_with_directory));
  EXPECT_EQ(read_file(destination("d-over-f")), "kept");
  EXPECT_EQ(read_file(destination("other")), "copied");
}

TEST_F(CopyTree, loops_of_followed_symlinks_end) {
  fs::create_directories(source("a/b"));
  fs::create_symlink("..", source("a/b/up"));
  TreeOptions options;
  options.dereference = Dereference::always;
  EXPECT_THAT(copy(options), ElementsAre(TreeProblem::directory_loop));
}

TEST_F(CopyTree, times_of_directories_are_those_of_the_source_though_they_were_filled_later) {
  fs::create_directories(source("d"));
  write_file(source("d/f"), "x");
  const timespec times[2] = {{.tv_sec = -5, .tv_nsec = 1}, {.tv_sec = 123456789, .tv_nsec = 987654321}};
  ASSERT_EQ(::utimensat(AT_FDCWD, source("d").c_str(), times, 0), 0);
  ASSERT_EQ(::utimensat(AT_FDCWD, source().c_str(), times, 0), 0);
  EXPECT_THAT(copy(archive()), IsEmpty());
  EXPECT_EQ(status(destination("d")).st_mtim.tv_nsec, 987654321);
  EXPECT_EQ(status(destination()).st_mtim.tv_sec, 123456789);
}

TEST_F(CopyTree, directories_that_their_owner_may_not_enter_are_copied_with_their_mode) {
  fs::create_directories(source("closed"));
  write_file(source("closed/f"), "x");
  ASSERT_EQ(::chmod(source("closed").c_str(), 0), 0);
  EXPECT_EQ(::geteuid() == 0 ? copy({}).size() : 0U, 0U);
  if (::geteuid() == 0) {
    EXPECT_EQ(status(destination("closed")).st_mode & 07777U, 0U);
  }
  ASSERT_EQ(::chmod(source("closed").c_str(), 0755), 0);
}

TEST_F(CopyTree, a_stopped_copy_ends_with_ecanceled_and_leaves_whole_files_only) {
  for (int i = 0; i < 400; ++i) {
    write_file(source(std::to_string(i)), some_bytes(20'000, static_cast<unsigned>(i)));
  }
  std::stop_source stop;
  TreeOptions options;
  options.copy.stop = stop.get_token();
  std::atomic<int> events = 0;
  options.on_event = [&](const TreeEvent&) {
    if (++events == 50) {
      stop.request_stop();
    }
  };
  const auto copied = copy_tree(source(), destination(), options);
  ASSERT_FALSE(copied);
  EXPECT_EQ(copied.error().errno_value(), ECANCELED);
  int found = 0;
  for (const auto& entry : fs::directory_iterator(destination())) {
    EXPECT_EQ(read_file(entry.path()), read_file(source(entry.path().filename())));
    ++found;
  }
  EXPECT_GE(found, 45);
  EXPECT_LT(found, 400);
}

TEST_F(CopyTree, fsync_syncs_few_files_singly_and_many_by_file_system) {
  for (int i = 0; i < 100; ++i) {
    write_file(source(std::to_string(i)), "x");
  }
  TreeOptions options;
  options.copy.fsync = true;
  options.jobs = 1;
  const FaultPlan plan;
  EXPECT_TRUE(copy_tree(source(), destination(), options));
  EXPECT_EQ(plan.count(Call::fsync), 8U);
  EXPECT_EQ(plan.count(Call::syncfs), 1U);
}

TEST_F(CopyTree, a_failing_sync_is_an_error) {
  for (int i = 0; i < 20; ++i) {
    write_file(source(std::to_string(i)), "x");
  }
  for (const Call call : {Call::fsync, Call::syncfs}) {
    fs::remove_all(destination());
    TreeOptions options;
    options.copy.fsync = true;
    FaultPlan plan;
    plan.fail(call, EIO);
    const auto copied = copy_tree(source(), destination(), options);
    ASSERT_FALSE(copied);
    EXPECT_EQ(copied.error().errno_value(), EIO);
  }
}

TEST_F(CopyTree, dry_run_tells_and_does_nothing) {
  fs::create_directories(source("a/b"));
  write_file(source("a/f"), "x");
  fs::create_symlink("f", source("a/l"));
  TreeOptions options = archive();
  options.dry_run = true;
  std::vector<std::string> told;
  options.on_event = [&](const TreeEvent& event) {
    told.emplace_back(fs::relative(event.destination, scratch_.path()));
  };
  EXPECT_THAT(copy(options), IsEmpty());
  EXPECT_THAT(told, ::testing::UnorderedElementsAre("d", "d/a", "d/a/b", "d/a/f", "d/a/l"));
  EXPECT_FALSE(fs::exists(destination()));
}

TEST_F(CopyTree, a_name_created_by_this_job_is_not_overwritten_by_it) {
  write_file(source("x"), "first");
  write_file(scratch_.path("x"), "second");
  fs::create_directory(destination());
  TreeOptions options;
  std::vector<TreeProblem> problems;
  options.on_error = [&](const TreeError& error) { problems.push_back(error.problem); };
  TreeCopier copier(options);
  EXPECT_TRUE(copier.copy(source("x"), destination("x")));
  EXPECT_FALSE(copier.copy(scratch_.path("x"), destination("x")));
  EXPECT_THAT(problems, ElementsAre(TreeProblem::just_created));
  EXPECT_EQ(read_file(destination("x")), "first");
}

TEST_F(CopyTree, many_operands_are_copied_each_to_its_name_and_the_first_of_equal_names_stays) {
  fs::create_directories(source("tree/sub"));
  write_file(source("tree/sub/f"), "x");
  fs::create_directory(destination());
  std::vector<TreeOperand> operands = {{source("tree"), destination("tree")}};
  for (int i = 0; i < 300; ++i) {
    const std::string name = std::to_string(i);
    write_file(source(name), name);
    operands.push_back({source(name), destination(name)});
  }
  operands.push_back({source("missing"), destination("missing")});
  std::vector<TreeError> errors;
  TreeOptions options;
  options.jobs = 4;
  options.on_error = [&](const TreeError& error) { errors.push_back(error); };
  {
    TreeCopier copier(options);
    EXPECT_FALSE(copier.copy(operands));
    EXPECT_EQ(copier.report().regular_files, 301U);
  }
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_EQ(errors[0].operand.source, source("missing"));
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(read_file(destination(std::to_string(i))), std::to_string(i));
  }
  EXPECT_EQ(read_file(destination("tree/sub/f")), "x");

  errors.clear();
  operands = {{source("1"), destination("same")}, {source("2"), destination("same")}};
  EXPECT_FALSE(TreeCopier(options).copy(operands));
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_EQ(errors[0].problem, TreeProblem::just_created);
  EXPECT_EQ(read_file(destination("same")), "1");
}

TEST_F(CopyTree, what_is_not_older_is_kept_without_opening_anything) {
  for (int i = 0; i < 10; ++i) {
    write_file(source(std::to_string(i)), "x");
  }
  EXPECT_THAT(copy(archive()), IsEmpty());
  TreeOptions options;
  options.overwrite = Overwrite::if_older;
  options.jobs = 1;
  const FaultPlan plan;
  EXPECT_TRUE(copy_tree(source(), destination(), options));
  EXPECT_EQ(plan.count(Call::openat), 2U);  // the two directories
}

TEST_F(CopyTree, mount_points_are_entered_only_without_one_file_system) {
  fs::create_directory(source("mount"));
  if (::mount("none", source("mount").c_str(), "tmpfs", 0, "size=1m") != 0) {
    GTEST_SKIP() << "cannot mount: " << std::strerror(errno);
  }
  write_file(source("mount/f"), "x");
  TreeOptions options;
  options.one_file_system = true;
  EXPECT_THAT(copy(options), IsEmpty());
  EXPECT_TRUE(fs::is_directory(destination("mount")));
  EXPECT_FALSE(fs::exists(destination("mount/f")));
  EXPECT_THAT(copy({}), IsEmpty());
  EXPECT_TRUE(fs::exists(destination("mount/f")));
  ASSERT_EQ(::umount(source("mount").c_str()), 0);
}

TEST_F(CopyTree, a_replacement_of_a_mount_point_is_written_in_place) {
  write_file(source("file"), "new");
  fs::create_directory(destination());
  write_file(destination("file"), "old");
  write_file(scratch_.path("mounted"), "old mounted");
  if (::mount(scratch_.path("mounted").c_str(), destination("file").c_str(), nullptr, MS_BIND, nullptr) != 0) {
    GTEST_SKIP() << "cannot bind mount: " << std::strerror(errno);
  }
  EXPECT_THAT(copy({}), IsEmpty());
  ASSERT_EQ(::umount(destination("file").c_str()), 0);
  EXPECT_EQ(read_file(scratch_.path("mounted")), "new");
  EXPECT_EQ(read_file(destination("file")), "old");
}

TEST_F(CopyTree, inherited_default_acls_are_taken_away_from_archive_copies) {
  // user::rwx, user:1:rwx, group::r-x, mask::rwx, other::r-x (acl(5), linux/posix_acl_xattr.h)
  const unsigned char acl[] = {2, 0, 0,   0,   1,   0,   7,  0, 255, 255, 255, 255, 2,   0,  7,
                               0, 1, 0,   0,   0,   4,   0,  5, 0,   255, 255, 255, 255, 16, 0,
                               7, 0, 255, 255, 255, 255, 32, 0, 5,   0,   255, 255, 255, 255};
  write_file(source("file"), "x");
  fs::create_directory(source("sub"));
  ASSERT_EQ(::chmod(source("file").c_str(), 0640), 0);
  fs::create_directory(destination());
  if (::setxattr(destination().c_str(), "system.posix_acl_default", acl, sizeof acl, 0) != 0) {
    GTEST_SKIP() << "no ACLs here: " << std::strerror(errno);
  }
  EXPECT_THAT(copy(archive()), IsEmpty());
  EXPECT_LT(::getxattr(destination("file").c_str(), "system.posix_acl_access", nullptr, 0), 0);
  EXPECT_LT(::getxattr(destination("sub").c_str(), "system.posix_acl_default", nullptr, 0), 0);
  EXPECT_EQ(status(destination("file")).st_mode & 07777U, 0640U);
}

TEST_F(CopyTree, special_files_and_symlinks_replace_what_has_their_name) {
  ASSERT_EQ(::mkfifo(source("fifo").c_str(), 0600), 0);
  fs::create_symlink("target", source("symlink"));
  fs::create_directory(destination());
  write_file(destination("fifo"), "old");
  write_file(destination("symlink"), "old");
  EXPECT_THAT(copy(archive()), IsEmpty());
  EXPECT_TRUE(fs::is_fifo(destination("fifo")));
  EXPECT_EQ(fs::read_symlink(destination("symlink")), "target");
}

}  // namespace
}  // namespace ferry::testing
