"""Configurations in the shapes that people publish: what they keep in repositories, templates and guides.

All names and addresses are ours. `GOOD` are taken by kubeadm and by quorate, `WRONG` by neither.
"""

from __future__ import annotations

HEAD4, HEAD3 = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ", "apiVersion: kubeadm.k8s.io/v1beta3\nkind: "
INIT = f"{HEAD4}InitConfiguration\nlocalAPIEndpoint: {{advertiseAddress: 10.7.0.1}}\nnodeRegistration: {{name: cp1}}\n---\n"
CLUSTER = f"{HEAD4}ClusterConfiguration\nkubernetesVersion: v1.34.4\n"
KUBELET = "---\napiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n"
PROXY = "---\napiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n"

GOOD = {
    "a virtual machine with a capitalised name, everything spelt out": f"""\
{HEAD3}InitConfiguration
bootstrapTokens:
- groups:
  - system:bootstrappers:kubeadm:default-node-token
  token: abcdef.0123456789abcdef
  ttl: 24h0m0s
  usages: [signing, authentication]
localAPIEndpoint:
  advertiseAddress: 10.7.0.1
  bindPort: 6443
nodeRegistration:
  criSocket: /run/containerd/containerd.sock
  name: LAB-CP-01
  taints: null
  kubeletExtraArgs: null
---
apiServer:
  timeoutForControlPlane: 4m0s
apiVersion: kubeadm.k8s.io/v1beta3
certificatesDir: /etc/kubernetes/pki
clusterName: kubernetes
controllerManager: {{}}
dns:
  imageRepository: registry.lab.example:5000/google_containers
  imageTag: v1.12.1
etcd:
  local:
    dataDir: /var/lib/etcd
imageRepository: registry.lab.example:5000/google_containers
kind: ClusterConfiguration
kubernetesVersion: 1.34.4
controlPlaneEndpoint: 10.7.0.1:6443
networking:
  dnsDomain: cluster.local
  podSubnet: 172.20.0.0/16
  serviceSubnet: 192.168.0.0/16
scheduler: {{}}
{KUBELET}cgroupDriver: systemd
{PROXY}""",
    "metrics for a monitoring stack, admission and audit": f"""\
{INIT}{CLUSTER}\
controlPlaneEndpoint: "api.lab.example:6443"
apiServer:
  extraArgs:
  - {{name: admission-control-config-file, value: /etc/kubernetes/psa/admission.yaml}}
  - {{name: audit-policy-file, value: /etc/kubernetes/audit/policy.yaml}}
  - {{name: audit-log-maxage, value: "30"}}
  - {{name: enable-admission-plugins, value: "NodeRestriction,AlwaysPullImages"}}
  - {{name: profiling, value: "false"}}
  extraVolumes:
  - {{name: psa, hostPath: /etc/kubernetes/psa, mountPath: /etc/kubernetes/psa, readOnly: true}}
  - {{name: audit, hostPath: /etc/kubernetes/audit, mountPath: /etc/kubernetes/audit, pathType: DirectoryOrCreate}}
controllerManager:
  extraArgs:
  - {{name: bind-address, value: "0.0.0.0"}}
  - {{name: terminated-pod-gc-threshold, value: "50"}}
scheduler:
  extraArgs:
  - {{name: bind-address, value: "0.0.0.0"}}
etcd:
  local:
    extraArgs:
    - {{name: listen-metrics-urls, value: "http://0.0.0.0:2381"}}
    - {{name: auto-compaction-retention, value: "8"}}
    - {{name: quota-backend-bytes, value: "8589934592"}}
""",
    "dual stack with nftables and no kube-proxy address": f"""\
{INIT}{CLUSTER}\
networking:
  podSubnet: "10.244.0.0/16,fd00:10:244::/56"
  serviceSubnet: "10.96.0.0/16,fd00:10:96::/112"
controllerManager:
  extraArgs:
  - {{name: node-cidr-mask-size-ipv4, value: "24"}}
  - {{name: node-cidr-mask-size-ipv6, value: "64"}}
{KUBELET}cgroupDriver: systemd
maxPods: 110
{PROXY}mode: nftables
clusterCIDR: "10.244.0.0/16,fd00:10:244::/56"
detectLocalMode: ClusterCIDR
""",
    "a join with component configurations that a template left in it": f"""\
{HEAD4}JoinConfiguration
nodeRegistration: {{name: worker-1, criSocket: "unix:///var/run/containerd/containerd.sock"}}
discovery:
  bootstrapToken:
    apiServerEndpoint: "10.7.0.1:6443"
    token: "abcdef.0123456789abcdef"
    caCertHashes:
      - "sha256:{"0" * 64}"
    unsafeSkipCAVerification: false
{KUBELET}cgroupDriver: systemd
{PROXY}""",
    "a kubelet with reservations, evictions and percentages": f"""\
{INIT}{CLUSTER}{KUBELET}\
systemReserved: {{cpu: 500m, memory: 500Mi}}
kubeReserved: {{cpu: 500m, memory: 1Gi, ephemeral-storage: 1Gi}}
evictionHard: {{memory.available: "300Mi", nodefs.available: "10%", imagefs.inodesFree: "5%"}}
evictionPressureTransitionPeriod: 300s
imageGCHighThresholdPercent: 85
imageGCLowThresholdPercent: 80
nodeStatusReportFrequency: 10s
nodeLeaseDurationSeconds: 40
maxOpenFiles: 1000000
readOnlyPort: 10255
logging: {{verbosity: 2}}
resolvConf: /run/systemd/resolve/resolv.conf
rotateCertificates: true
serverTLSBootstrap: true
""",
    "kube-proxy in IPVS mode by a comment-rich template": f"""\
{INIT}{CLUSTER}\
# the addresses of pods
networking: {{podSubnet: 10.68.0.0/16}}   # a comment behind a value
{PROXY}ipvs:
  minSyncPeriod: 1s
  scheduler: rr
  syncPeriod: 10s
  strictARP: true
mode: ipvs
conntrack: {{maxPerCore: 0}}
""",
    "a volume that a generator repeats": f"""\
{INIT}{CLUSTER}\
apiServer:
  extraVolumes:
  - {{name: localtime, hostPath: /etc/localtime, mountPath: /etc/localtime, pathType: File, readOnly: true}}
  - {{name: localtime, hostPath: /etc/localtime, mountPath: /etc/localtime, pathType: File, readOnly: true}}
""",
    "an external etcd with files of another tool": f"""\
{INIT}{CLUSTER}\
etcd:
    external:
        endpoints:
        - https://10.7.0.21:2379
        - https://10.7.0.22:2379
        caFile: /etc/kubernetes/pki/etcd-ca.pem
        certFile: /etc/kubernetes/pki/etcd.pem
        keyFile: /etc/kubernetes/pki/etcd-key.pem
""",
}

WRONG = {
    "a struct printed with Go's names": (
        f"{INIT}{HEAD4}ClusterConfiguration\nKubernetesVersion: v1.34.4\nNetworking: {{PodSubnet: 10.0.0.0/16}}\n",
        ["KubernetesVersion: there is no such field; did you mean kubernetesVersion?", "Networking: there is no such field"],
    ),
    "a field with another case": (
        f"{HEAD4}InitConfiguration\nlocalApiEndpoint: {{advertiseAddress: 10.7.0.1}}\n",
        ["localApiEndpoint: there is no such field; did you mean localAPIEndpoint?"],
    ),
    "names for the API server's certificate with a capital": (
        f"{CLUSTER}apiServer:\n  CertSANs: [api.lab.example]\n",
        ["apiServer.CertSANs: there is no such field; did you mean certSANs?"],
    ),
    "fields of older versions at the top": (
        f"{CLUSTER}api: {{advertiseAddress: 10.7.0.1}}\ncloud-provider: gce\n",
        ["api: there is no such field", "cloud-provider: there is no such field"],
    ),
    "arguments as a map in the newer version": (
        f"{CLUSTER}scheduler:\n  extraArgs:\n    bind-address: 0.0.0.0\n",
        ["scheduler.extraArgs: this must be a list"],
    ),
    "a token of a guide": (
        f"{HEAD4}InitConfiguration\nbootstrapTokens:\n- token: 9a2f6b.xxx\n",
        ["bootstrapTokens[0].token: this is not a bootstrap token"],
    ),
    "an address that was left out of a template": (
        f"{HEAD4}InitConfiguration\nlocalAPIEndpoint: {{advertiseAddress: 172.xx.xx.11}}\n",
        ["localAPIEndpoint.advertiseAddress: '172.xx.xx.11' is not an IP address"],
    ),
    "two versions of one API that is gone": (
        f"{HEAD3}InitConfiguration\n---\napiVersion: kubeadm.k8s.io/v1beta2\nkind: ClusterConfiguration\nclusterName: a\n",
        ["apiVersion: kubeadm.k8s.io/v1beta2 ClusterConfiguration is not a kind that can be used here"],
    ),
    "a kubelet's flag as a field": (
        f"{INIT}{CLUSTER}{KUBELET}anonymousAuth: false\n",
        ["anonymousAuth: KubeletConfiguration has no such field in Kubernetes 1.34"],
    ),
    "a section that a model made up": (
        f"{INIT}{CLUSTER}{KUBELET}imageGCPolicy: {{minAge: 1h}}\n",
        ["imageGCPolicy: KubeletConfiguration has no such field in Kubernetes 1.34"],
    ),
    "minutes in words": (
        f"{INIT}{CLUSTER}{KUBELET}runtimeRequestTimeout: 5min\n",
        ["runtimeRequestTimeout: this must be a duration such as 4m0s"],
    ),
    "a list that is a text": (
        f"{INIT}{CLUSTER}{KUBELET}clusterDNS: 169.254.20.10\n",
        ["clusterDNS: this must be a list"],
    ),
}


def good_with_notes() -> dict[str, tuple[str, list[str]]]:
    """Taken, with warnings: what was right on one node, or in one version."""
    return {
        "one member's etcd for all, as the guide for an external etcd has it": (
            f"""\
{INIT}{CLUSTER}etcd:
  local:
    serverCertSANs: [10.7.0.1]
    extraArgs:
    - {{name: initial-cluster, value: "a=https://10.7.0.1:2380"}}
    - {{name: initial-cluster-state, value: new}}
    - {{name: name, value: a}}
    - {{name: listen-peer-urls, value: "https://10.7.0.1:2380"}}
""",
            ["--initial-cluster gives", "--initial-cluster-state gives", "--name gives", "--listen-peer-urls gives"],
        ),
        "the address of the first node for every API server": (
            f"{INIT}{CLUSTER}apiServer: {{extraArgs: [{{name: advertise-address, value: 10.7.0.1}}]}}\n",
            ["--advertise-address gives all nodes the value of one"],
        ),
    }
