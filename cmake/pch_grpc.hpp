// Precompiled for targets at the gRPC edge.
#pragma once
#include <grpcpp/grpcpp.h>
#include <grpcpp/support/client_callback.h>
#include <memory>
#include <string>
#include <vector>
