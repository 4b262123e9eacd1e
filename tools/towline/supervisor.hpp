// `towline up`: the three services as child processes of one host, watched over.
#pragma once
#include <string>
#include <vector>

namespace towline::cli {

struct UpOptions {
  std::vector<std::string> sources;
  std::string endpoints_file;
  std::string engine;
  std::string jwt_secret;
  std::string admin_rpc;
  std::string network;
  std::string rollup_config;
  std::string unsafe_source;
  std::string data_dir;
  std::string log_level;
  /// First of six ports; 0: any free ones.
  int base_port = 7410;
  /// Where the children's programs are; empty: beside this one.
  std::string bin_dir;
};

/// Runs until SIGINT or SIGTERM. Exit code: 0 stopped, 1 a service cannot run (it has said why).
int up(const UpOptions& options);

}  // namespace towline::cli
