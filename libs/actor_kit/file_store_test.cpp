#include "libs/actor_kit/file_store.hpp"

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <caf/typed_event_based_actor.hpp>
#include <filesystem>

#include "libs/actor_kit/actor_fixture.hpp"
#include "libs/base/files.hpp"

namespace towline {
namespace {

using ::testing::ElementsAre;

class FileStore : public towline::testing::ActorTest {
 protected:
  void TearDown() override { std::filesystem::remove_all(top_); }
  KeptFile::Done told(const char* name) {
    return [this, name](const absl::Status& st) {
      told_.push_back(absl::StrCat(name, " ", absl::StatusCodeToString(st.code())));
    };
  }

  const std::string top_ = std::filesystem::temp_directory_path() / absl::StrCat("towline-files-", getpid());
  const std::string path_ = top_ + "/data/file.json";
  file_store_actor store_ = own(system.spawn(file_store));
  std::vector<std::string> told_;
};

TEST_F(FileStore, OfTextsThatWaitTheNewestIsWrittenAndEverybodyIsTold) {
  const auto file = std::make_shared<KeptFile>(path_, "texts", store_);
  file->keep("1", told("first"));
  file->keep("2");
  file->keep("3", told("third"));
  EXPECT_TRUE(absl::IsNotFound(read_state_file(path_).status()));
  scheduler.run_once();
  EXPECT_EQ(*read_state_file(path_), "3");
  EXPECT_THAT(told_, ElementsAre("first OK", "third OK"));
  dispatch();
  file->keep("4", told("fourth"));
  dispatch();
  EXPECT_EQ(*read_state_file(path_), "4");
  EXPECT_THAT(told_, ElementsAre("first OK", "third OK", "fourth OK"));
}

TEST_F(FileStore, WhatWasSentBeforeTheEndIsWritten) {
  const auto file = std::make_shared<KeptFile>(path_, "texts", store_);
  file->keep("last", told("last"));
  caf::anon_send_exit(store_, caf::exit_reason::user_shutdown);
  dispatch();
  EXPECT_EQ(*read_state_file(path_), "last");
  EXPECT_THAT(told_, ElementsAre("last OK"));
}

TEST_F(FileStore, ADirectoryThatCannotBeMadeIsTold) {
  const auto file = std::make_shared<KeptFile>("/proc/none/file.json", "texts", store_);
  file->keep("1", told("first"));
  dispatch();
  EXPECT_THAT(told_, ElementsAre("first UNAVAILABLE"));
}

TEST_F(FileStore, AfterTheStoreHasEndedEverybodyIsTold) {
  std::shared_ptr<KeptFile> file;
  {
    const auto store = system.spawn(file_store);
    file = std::make_shared<KeptFile>(path_, "texts", store);
    caf::anon_send_exit(store, caf::exit_reason::user_shutdown);
    dispatch();
  }
  file->keep("1", told("first"));
  EXPECT_THAT(told_, ElementsAre("first UNAVAILABLE"));
}

}  // namespace
}  // namespace towline
