{{- define "pushring.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}{{ .Values.fullnameOverride }}
{{- else if contains $name .Release.Name -}}{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}{{ printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}{{- end -}}
{{- end }}

{{- /* Labels of an object; selectors use those of "pushring.selector" alone, which never change. */}}
{{- define "pushring.labels" -}}
{{ include "pushring.selector" . }}
app.kubernetes.io/part-of: pushring
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* `name` is the job in monitoring/rules.yml. */}}
{{- define "pushring.selector" -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}

{{- /* Labels of pods: without versions, so that an upgrade restarts only pods that differ. */}}
{{- define "pushring.podLabels" -}}
{{ include "pushring.selector" . }}
app.kubernetes.io/part-of: pushring
{{- with merge (dict) .values.podLabels .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "pushring.image" -}}
{{- if .image.digest -}}{{ .image.repository }}@{{ .image.digest }}
{{- else -}}{{ .image.repository }}:{{ default .root.Chart.AppVersion .image.tag }}{{- end -}}
{{- end }}

{{- define "pushring.account" -}}
{{ default (include "pushring.fullname" .) .Values.serviceAccount.name }}
{{- end }}

{{- /* Headless service of the gateways. */}}
{{- define "pushring.gateways" -}}
{{ default (printf "%s-gateway" (include "pushring.fullname" .)) .Values.gateways.existing.service }}
{{- end }}

{{- /* Fields of a pod that each component sets in the same way. */}}
{{- define "pushring.pod" -}}
serviceAccountName: {{ .account }}
automountServiceAccountToken: false
securityContext: {{- toYaml .root.Values.podSecurityContext | nindent 2 }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{- range . }}
- name: {{ . }}
{{- end }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations: {{- toYaml . | nindent 0 }}
{{- end }}
{{- if .values.affinity }}
affinity: {{- toYaml .values.affinity | nindent 2 }}
{{- else if ne .values.antiAffinity "none" }}
affinity:
  podAntiAffinity:
    {{- if eq .values.antiAffinity "required" }}
    requiredDuringSchedulingIgnoredDuringExecution:
    - topologyKey: kubernetes.io/hostname
      labelSelector: { matchLabels: { {{- include "pushring.selector" . | trim | replace "\n" ", " -}} } }
    {{- else }}
    preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        topologyKey: kubernetes.io/hostname
        labelSelector: { matchLabels: { {{- include "pushring.selector" . | trim | replace "\n" ", " -}} } }
    {{- end }}
{{- end }}
topologySpreadConstraints:
{{- if .values.topologySpreadConstraints }}
{{ toYaml .values.topologySpreadConstraints }}
{{- else }}
- maxSkew: 1
  topologyKey: topology.kubernetes.io/zone
  whenUnsatisfiable: ScheduleAnyway
  labelSelector: { matchLabels: { {{- include "pushring.selector" . | trim | replace "\n" ", " -}} } }
{{- end }}
{{- end }}

{{- /* The sidecar `discover`. Envoy's admin interface is in the same pod; a sweeper has none. */}}
{{- define "pushring.discover" -}}
{{- $values := .root.Values.discover -}}
- name: discover
  image: {{ include "pushring.image" (dict "root" .root "image" .root.Values.image) }}
  imagePullPolicy: {{ .root.Values.image.pullPolicy }}
  # A sidecar: it starts before Envoy and ends after it.
  restartPolicy: Always
  args:
  - discover
  - --from=kubernetes
  - --service={{ include "pushring.gateways" .root }}
  {{- if not .root.Values.gateways.existing.service }}
  - --port-name=http
  {{- else if .root.Values.gateways.existing.port }}
  - --port-name={{ .root.Values.gateways.existing.port }}
  {{- end }}
  - --settings=/etc/pushring/settings/{{ .root.Values.mode }}.yaml
  - --live=/etc/pushring/live
  - --wasm=/etc/pushring/filter/plugin.wasm
  {{- if .envoy }}
  - --admin=http://127.0.0.1:9901
  {{- end }}
  - --listen={{ include "pushring.listen" (dict "root" .root "port" 9088) }}
  - --hold={{ $values.hold }}
  - --forget={{ $values.forget }}
  {{- range $values.extraArgs }}
  - {{ . | quote }}
  {{- end }}
  {{- with $values.extraEnv }}
  env: {{- toYaml . | nindent 2 }}
  {{- end }}
  ports:
  - { name: discover, containerPort: 9088 }
  # Ready with the first ring, so Envoy never starts without one. Gateways may take their time at the first install.
  startupProbe:
    httpGet: { path: /-/ready, port: discover }
    periodSeconds: 1
    failureThreshold: 300
  livenessProbe:
    httpGet: { path: /-/healthy, port: discover }
    periodSeconds: 10
    failureThreshold: 6
  resources: {{- toYaml $values.resources | nindent 4 }}
  securityContext: {{- toYaml .root.Values.securityContext | nindent 4 }}
  volumeMounts:
  - { name: settings, mountPath: /etc/pushring/settings, readOnly: true }
  - { name: live, mountPath: /etc/pushring/live }
  - { name: token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true }
  {{- with $values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- /* Rights of `discover`. With `get` it sees that a pod leaves because its StatefulSet was scaled in. */}}
{{- define "pushring.discoverRules" -}}
- { apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch] }
{{- if .Values.gateways.existing.service }}
- { apiGroups: [apps], resources: [statefulsets], verbs: [get] }
{{- else }}
- { apiGroups: [apps], resources: [statefulsets], resourceNames: [{{ include "pushring.gateways" . }}], verbs: [get] }
{{- end }}
{{- end }}

{{- /* Where all Envoys accept pushes. */}}
{{- define "pushring.envoys" -}}
{{ default (printf "http://%s-envoys:9091" (include "pushring.fullname" .)) .Values.sweeper.envoy }}
{{- end }}

{{- define "pushring.listen" -}}
{{- if contains ":" .root.Values.envoy.bindAddress -}}[{{ .root.Values.envoy.bindAddress }}]:{{ .port }}
{{- else -}}{{ .root.Values.envoy.bindAddress }}:{{ .port }}{{- end -}}
{{- end }}

{{- /* Volumes of a pod with `discover`. */}}
{{- define "pushring.volumes" -}}
- name: settings
  configMap: { name: {{ include "pushring.fullname" . }}-settings }
# In memory: a rename is cheap there. Its files and those of `discover` go with the pod.
- name: live
  emptyDir: { medium: Memory, sizeLimit: 32Mi }
# The account's token, for the containers that need it and not for Envoy.
- name: token
  projected:
    sources:
    - serviceAccountToken: { path: token, expirationSeconds: 3607 }
    - configMap: { name: kube-root-ca.crt, items: [{ key: ca.crt, path: ca.crt }] }
    - downwardAPI: { items: [{ path: namespace, fieldRef: { fieldPath: metadata.namespace } }] }
{{- end }}

{{- /* Envoy's bootstrap: the shipped file with the paths, addresses and limits of the pod. */}}
{{- define "pushring.envoyConfig" -}}
{{- if .Values.envoy.config -}}
{{ .Values.envoy.config }}
{{- else -}}
{{- $prefix := .Values.settings.filter.path_prefix | default "" -}}
{{ .Files.Get (printf "files/envoy/%s.yaml" .Values.mode)
  | replace "/etc/pushring/pushring_filter.wasm" "/etc/pushring/filter/plugin.wasm"
  | replace "address: 0.0.0.0," (printf "address: %q," .Values.envoy.bindAddress)
  | replace "max_heap_size_bytes: 2147483648" (printf "max_heap_size_bytes: %d" (int64 .Values.envoy.maxHeapBytes))
  | replace "max_active_downstream_connections: 10000" (printf "max_active_downstream_connections: %d" (int64 .Values.envoy.maxConnections))
  | replace "name: pushring-serve\n    type: STATIC" "name: pushring-serve\n    type: STRICT_DNS\n    dns_lookup_family: ALL\n    # Pushes do not wait for it.\n    wait_for_warm_on_init: false"
  | replace "address: 127.0.0.1, port_value: 9093 " (printf "address: %s-serve, port_value: 9093 " (include "pushring.fullname" .))
  | replace `replace(":path", "/-/ready")` (printf `replace(":path", "%s/-/ready")` $prefix)
  | replace `exact: /-/ready }` (printf `exact: %s/-/ready }` $prefix) }}
{{- end -}}
{{- end }}
