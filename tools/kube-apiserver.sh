#!/usr/bin/env bash
# Builds a kube-apiserver and its etcd from the Go module proxy, for tests over a real Kubernetes API where no release can be
# downloaded. Needs Go and some minutes, the first time.
#   tools/kube-apiserver.sh FOLDER && KUBEBUILDER_ASSETS=FOLDER npm run test:real
set -euo pipefail
KUBERNETES=1.34.2
ETCD=3.5.21
mkdir -p "${1:?the folder that the programs go to}"
out=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export GOFLAGS=-mod=mod

mkdir "$work/etcd" "$work/kube"
cat >"$work/etcd/main.go" <<'GO'
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
GO
printf 'module etcd\n\ngo 1.24.0\n\nrequire go.etcd.io/etcd/server/v3 v%s\n' "$ETCD" >"$work/etcd/go.mod"

cat >"$work/kube/main.go" <<'GO'
package main

import (
	"os"

	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() { os.Exit(cli.Run(app.NewAPIServerCommand())) }
GO
# Kubernetes names its own parts without a version, which only its own checkout can build.
{
  printf 'module kube\n\ngo 1.24.0\n\nrequire k8s.io/kubernetes v%s\n\n' "$KUBERNETES"
  for part in api apiextensions-apiserver apimachinery apiserver cli-runtime client-go cloud-provider cluster-bootstrap \
    code-generator component-base component-helpers controller-manager cri-api cri-client csi-translation-lib \
    dynamic-resource-allocation endpointslice externaljwt kms kube-aggregator kube-controller-manager kube-proxy \
    kube-scheduler kubectl kubelet metrics mount-utils pod-security-admission sample-apiserver sample-cli-plugin \
    sample-controller; do
    printf 'replace k8s.io/%s => k8s.io/%s v0.%s\n' "$part" "$part" "${KUBERNETES#1.}"
  done
} >"$work/kube/go.mod"

version=k8s.io/component-base/version
minor=${KUBERNETES#1.}
(cd "$work/etcd" && go mod tidy && go build -ldflags='-s -w' -o "$out/etcd" .)
(cd "$work/kube" && go mod tidy && go build -o "$out/kube-apiserver" \
  -ldflags="-s -w -X $version.gitVersion=v$KUBERNETES -X $version.gitMajor=1 -X $version.gitMinor=${minor%%.*}" .)
"$out/etcd" --version | head -n 1
"$out/kube-apiserver" --version
