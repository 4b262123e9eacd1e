#include "tools/towline/liveness.hpp"

#include <curl/curl.h>

#include <future>

namespace towline::cli {

bool lives(const std::string& address, std::chrono::milliseconds patience) {
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> c{curl_easy_init(), curl_easy_cleanup};
  const std::string url = "http://" + address + "/livez";
  curl_easy_setopt(c.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(c.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(c.get(), CURLOPT_PROXY, "");
  curl_easy_setopt(c.get(), CURLOPT_NOBODY, 1L);
  curl_easy_setopt(c.get(), CURLOPT_TIMEOUT_MS, static_cast<long>(patience.count()));
  if (curl_easy_perform(c.get()) != CURLE_OK) return false;
  long status = 0;
  curl_easy_getinfo(c.get(), CURLINFO_RESPONSE_CODE, &status);
  return status == 200;
}

Liveness::Liveness(std::vector<std::string> addresses, std::chrono::milliseconds turn,
                   std::chrono::milliseconds patience)
    : addresses_{std::move(addresses)}, turn_{turn}, patience_{patience}, missed_(addresses_.size()) {
  curl_global_init(CURL_GLOBAL_DEFAULT);
  thread_ = std::thread{[this] { run(); }};
}

Liveness::~Liveness() {
  {
    std::lock_guard lock{mutex_};
    stopped_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

int Liveness::missed(std::size_t service) const {
  std::lock_guard lock{mutex_};
  return missed_[service];
}

void Liveness::forget(std::size_t service) {
  std::lock_guard lock{mutex_};
  missed_[service] = 0;
}

void Liveness::run() {
  std::unique_lock lock{mutex_};
  auto next = std::chrono::steady_clock::now() + turn_;
  while (!wake_.wait_until(lock, next, [this] { return stopped_; })) {
    next = std::chrono::steady_clock::now() + turn_;
    lock.unlock();
    // All at once: services that hang delay no other's answer.
    std::vector<std::future<bool>> answers;
    answers.reserve(addresses_.size());
    for (const std::string& address : addresses_)
      answers.push_back(std::async(std::launch::async, lives, address, patience_));
    for (auto& a : answers) a.wait();
    lock.lock();
    for (std::size_t i = 0; i < answers.size(); ++i) missed_[i] = answers[i].get() ? 0 : missed_[i] + 1;
  }
}

}  // namespace towline::cli
